"""Alarms as they are kept: one document each, in the form in which DescribeAlarms shows it, and their history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from backends.aws.cloudwatch import actions
from backends.aws.cloudwatch.tables import alarm_history
from backends.core import arn as arns
from backends.core import events
from backends.core.documents import Documents
from backends.core.memory import InMemory

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

ALARMS = Documents("CloudWatchAlarm")
SLOTS = InMemory[dict[tuple[str, str, str], float]]("cloudwatch.slots", lambda _kernel: {})
"""The end of the last period that was evaluated, by account, region and alarm."""
METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"


def arn_of(cx: Context, name: str) -> str:
    """Return an alarm's ARN."""
    return arns.make("cloudwatch", cx.region, cx.account, f"alarm:{name}")


def type_of(body: dict[str, Any]) -> str:
    """Return whether an alarm watches a metric or other alarms."""
    return COMPOSITE if "AlarmRule" in body else METRIC


def remember(cx: Context, body: dict[str, Any], item_type: str, summary: str, data: dict[str, Any]) -> None:
    """Write one item of an alarm's history."""
    row = {
        "account": cx.account,
        "region": cx.region,
        "alarm": body["AlarmName"],
        "alarm_type": type_of(body),
        "item_type": item_type,
        "time": cx.clock.now(),
        "summary": summary,
        "data": json.dumps({"version": "1.0", "type": item_type} | data),
    }
    cx.db.execute(insert(alarm_history), row)


def move(cx: Context, alarm: Row, state: str, reason: str, reason_data: str | None) -> bool:
    """Put an alarm into a state; when that is another one, write history and event and ask for its actions.

    Tells whether nobody else has changed the alarm since it was read.
    """
    now, old = cx.clock.now(), alarm.status
    body = alarm.document | {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": now}
    if reason_data is None:
        body.pop("StateReasonData", None)
    else:
        body["StateReasonData"] = reason_data
    if state != old:
        body["StateTransitionedTimestamp"] = now
    if not ALARMS.change(cx, alarm, body, state):
        return False
    if state != old:
        states = {"oldState": _state(alarm.document), "newState": _state(body)}
        remember(cx, body, "StateUpdate", f"Alarm updated from {old} to {state}", states)
        events.emit(cx, "Alarm", alarm.arn, old, state, reason, {"name": alarm.key})
        actions.emit(cx, body, old)
    return True


def _state(body: dict[str, Any]) -> dict[str, Any]:
    state = {"stateValue": body["StateValue"], "stateReason": body["StateReason"]}
    if "StateReasonData" in body:
        state["stateReasonData"] = json.loads(body["StateReasonData"])
    return state
