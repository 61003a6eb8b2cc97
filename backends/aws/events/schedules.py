"""EventBridge Scheduler's schedules: their life, and what comes when they are due. Source: Scheduler API reference and user guide (2026-11).

One with a flexible window comes at its beginning, which is within it.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from backends.aws.events import calls, cron, publish, scope, timers
from backends.core import arn as arns
from backends.core import errors, work
from backends.core.documents import Documents
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.rows import Row

DEFAULT, TIMER = "default", "schedule"
GROUPS, SCHEDULES = Documents("ScheduleGroup"), Documents("Schedule")
TAKEN = (
    "Name", "ScheduleExpression", "StartDate", "EndDate", "Description", "ScheduleExpressionTimezone", "State", "Target",
    "FlexibleTimeWindow", "ActionAfterCompletion",
)  # fmt: skip
TARGET = frozenset({
    "Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy", "Input", "EventBridgeParameters", "KinesisParameters",
    "SageMakerPipelineParameters", "SqsParameters",
})  # fmt: skip
JUST_BEFORE_S = 0.001


@operation("CreateSchedule", service="scheduler")
def create_schedule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a schedule. ConflictException for a name that is taken, ValidationException for a bad one."""
    key = _key(cx, request)
    if SCHEDULES.find(cx, key) is not None:
        raise errors.conflict(f"Schedule {request['Name']} already exists.")
    now = cx.clock.now()
    return _store(cx, key, request, now, began=now)


@operation("UpdateSchedule", service="scheduler")
def update_schedule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a schedule whole."""
    row = _row(cx, request)
    return _store(cx, row.key, request, cx.clock.now(), began=row.created)


@operation("GetSchedule", service="scheduler")
def get_schedule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule."""
    row = _row(cx, request)
    return {k: v for k, v in row.document.items() if k != "Began"} | {"CreationDate": row.created}


@operation("DeleteSchedule", service="scheduler")
def delete_schedule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a schedule."""
    _delete(cx, _row(cx, request))
    return {}


@operation("ListSchedules", service="scheduler")
def list_schedules(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List schedules by group and name, in pages."""
    prefix, state = request.get("NamePrefix", ""), request.get("State")
    group = f"{check_group(cx, request['GroupName'])}/" if "GroupName" in request else ""

    def read(after: str | None, size: int) -> list[Row]:
        rows = SCHEDULES.page(cx, group, after)
        fitting = [row for row in rows if row.document["Name"].startswith(prefix)]
        return [row for row in fitting if state in {None, row.document["State"]}][:size]

    rows, more = scope.paged(cx, request, f"ListSchedules {group} {prefix} {state}", read, "MaxResults")
    names = ("Arn", "Name", "GroupName", "State", "LastModificationDate")
    shown = [
        {
            **{k: row.document[k] for k in names},
            "CreationDate": row.created,
            "Target": {"Arn": row.document["Target"]["Arn"]},
        }
        for row in rows
    ]
    return {"Schedules": shown, **more}


def group_arn(cx: Context, name: str) -> str:
    """Return a group's ARN."""
    return arns.make("scheduler", cx.region, cx.account, f"schedule-group/{name}")


def check_group(cx: Context, name: str) -> str:
    """Return a group's name. ResourceNotFoundException where there is none."""
    if name != DEFAULT and GROUPS.find(cx, name) is None:
        raise scope.missing(f"Schedule group {name} does not exist.")
    return name


def _key(cx: Context, request: dict[str, Any]) -> str:
    return f"{check_group(cx, request.get('GroupName', DEFAULT))}/{request['Name']}"


def _row(cx: Context, request: dict[str, Any]) -> Row:
    row = SCHEDULES.find(cx, _key(cx, request))
    if row is None:
        raise scope.missing(f"Schedule {request['Name']} does not exist.")
    return row


def _store(cx: Context, key: str, request: dict[str, Any], now: float, *, began: float) -> dict[str, Any]:
    """Store a schedule and when it comes next. What begins `now` comes at once: the clock is read once for both."""
    document: dict[str, Any] = {
        "State": "ENABLED",
        "ScheduleExpressionTimezone": "UTC",
        "ActionAfterCompletion": "NONE",
    }
    document |= {k: request[k] for k in TAKEN if k in request}
    for member in ("StartDate", "EndDate"):
        if member in document:
            at = document[member]
            document[member] = at.timestamp() if isinstance(at, datetime) else float(at)
    arn = arns.make("scheduler", cx.region, cx.account, f"schedule/{key}")
    document |= {"Arn": arn, "GroupName": key.partition("/")[0], "LastModificationDate": now}
    document["Began"] = document.get("StartDate", began)
    _check(cx, request)
    following = _following(document)
    SCHEDULES.put(cx, key, arn, document)
    first = max(now, document.get("StartDate", 0.0)) - JUST_BEFORE_S
    timers.put(cx, TIMER, key, following(first) if document["State"] == "ENABLED" else None)
    return {"ScheduleArn": arn}


def _check(cx: Context, request: dict[str, Any]) -> None:
    if request.get("KmsKeyArn"):
        raise errors.not_implemented("scheduler: KmsKeyArn")
    window = request["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        only = "must" if window["Mode"] == "FLEXIBLE" else "must not"
        raise scope.invalid(
            f"MaximumWindowInMinutes {only} be given where the flexible time window's mode is {window['Mode']}."
        )
    target = request["Target"]
    for member in target:
        if member not in TARGET:
            raise errors.not_implemented(f"scheduler: {member} of a target")
    scope.check_role(cx, target)
    named = calls.universal_arn(target["Arn"]) or scope.check_own(cx, target["Arn"])
    calls.check_built(named)
    if named.service == "scheduler":
        calls.universal(named)
        _check_json(target.get("Input", "{}"))
    elif named.service == "events" and "EventBridgeParameters" not in target:
        raise scope.invalid("EventBridgeParameters must be given for an event bus.")
    dead = target.get("DeadLetterConfig", {}).get("Arn")
    if dead is not None:
        scope.check_own(cx, dead)


def _check_json(text: str) -> None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise scope.invalid(
            "Invalid RequestJson provided. Reason The Input of a universal target must be a JSON object."
        )


def _following(document: dict[str, Any]) -> Callable[[float], float | None]:
    """Return what tells the next time after one. ValidationException for an expression, a zone or dates that are none."""
    text = document["ScheduleExpression"]
    try:
        zone = ZoneInfo(document["ScheduleExpressionTimezone"])
    except (ValueError, OSError, KeyError) as error:
        raise scope.invalid(f"Invalid ScheduleExpressionTimezone {document['ScheduleExpressionTimezone']}.") from error
    try:
        parsed = cron.parse(text, zone, is_once_allowed=True)
    except (ValueError, OverflowError) as error:
        raise scope.invalid(f"Invalid Schedule Expression {text}.") from error
    end = document.get("EndDate")
    if end is not None and end <= document.get("StartDate", 0.0):
        raise scope.invalid("The EndDate you specify must come after the StartDate.")

    def following(after: float) -> float | None:
        at = parsed.following(after, document["Began"])
        is_over = at is not None and end is not None and at > end and not isinstance(parsed, cron.At)
        return None if is_over else at

    return following


def come(cx: Context, row: Any) -> None:
    """Promise what a schedule calls at the times that are due, and end it after its last, where it says so."""
    schedule = SCHEDULES.find(cx, row.key)
    if schedule is None:
        timers.put(cx, TIMER, row.key, None)
        return
    document = schedule.document
    comes, next_at = timers.times(cx, row, _following(document))
    texts = [_input(cx, schedule, at) for at in comes]
    body = {"rule": schedule.arn, "target": document["Target"], "inputs": texts}
    work.add(cx, publish.QUEUE, document["Target"]["Arn"], body)
    timers.put(cx, TIMER, row.key, next_at)
    if next_at is None and document["ActionAfterCompletion"] == "DELETE":
        _delete(cx, schedule)


def _input(cx: Context, schedule: Row, at: float) -> str:
    time = publish.iso(datetime.fromtimestamp(at, UTC))
    text = schedule.document["Target"].get("Input")
    if text is None:
        event = publish.event_of(cx, "aws.scheduler", "Scheduled Event", {}, [schedule.arn], at)
        return json.dumps({**event, "detail": "{}"})
    values = {
        "schedule-arn": schedule.arn,
        "scheduled-time": time,
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return str(text)


def _delete(cx: Context, row: Row) -> None:
    SCHEDULES.delete(cx, row)
    timers.put(cx, TIMER, row.key, None)
