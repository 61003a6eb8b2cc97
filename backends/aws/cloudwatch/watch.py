"""The loop that evaluates alarms, each on its account's clock; and what is heard of the actions they asked for.

An alarm is looked at once a minute (one on a shorter period: once in that period), over the periods that ended by then.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import alarms, points, queries, refusals, rules, statistics
from backends.aws.cloudwatch.alarm_store import ALARMS, COMPOSITE, SLOTS, move, remember, type_of
from backends.aws.cloudwatch.judgement import ALARM, COMPARISONS, EXTRA_PERIODS, INSUFFICIENT, OK, Rule, judge
from backends.aws.cloudwatch.series import Series
from backends.core.events import on
from backends.core.loops import every

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.kernel import Kernel
    from backends.core.rows import Row

log = logging.getLogger(__name__)
LOOK_S = 60


@every(1.0)
def watch(kernel: Kernel) -> None:
    """Evaluate what is due. One alarm that cannot be evaluated does not keep the others from it."""
    slots = SLOTS.of(kernel)
    alarms = kernel.db.read_blocking(lambda tx: ALARMS.everywhere(kernel.context("", "", tx=tx)))
    states = {(alarm.account, alarm.region, alarm.key): alarm.status for alarm in alarms}
    for alarm in alarms:
        cx = kernel.context(alarm.account, alarm.region)
        try:
            if type_of(alarm.document) == COMPOSITE:
                _evaluate_rule(cx, alarm, states)
            else:
                _evaluate_metric(cx, alarm, slots)
        except Exception:
            log.exception("alarm %s cannot be evaluated", alarm.arn)


def _evaluate_metric(cx: Context, alarm: Row, slots: dict[tuple[str, str, str], float]) -> None:
    period = alarms.period_of(alarm.document)
    every_s = min(period, LOOK_S)
    slot = cx.clock.now() // every_s * every_s
    key = (alarm.account, alarm.region, alarm.key)
    if slots.get(key) == slot:
        return
    slots[key] = slot
    values = cx.look(lambda inside: values_at(inside, alarm.document, slot, period))
    state, reason, data = decide(alarm.document, alarm.status, values, slot, period)
    if state != alarm.status:
        cx.write(lambda inside: move(inside, alarm, state, reason, data))


def values_at(cx: Context, body: dict[str, Any], end: float, period: int) -> list[float | None]:
    """Return the values of the evaluation range that ends at a time, oldest first; None for a period without data."""
    count = body["EvaluationPeriods"] + EXTRA_PERIODS
    start = end - count * period
    if "Metrics" in body:
        returned = next(query for query in body["Metrics"] if query.get("ReturnData", True))
        result = queries.compute(cx, body["Metrics"], start, end)[returned["Id"]]
        series = result if isinstance(result, Series) else (result or [Series({}, period)])[0]
        return [series.points.get(start + step * period) for step in range(count)]
    metric = points.Metric(
        body["Namespace"], body["MetricName"], refusals.dimensions(body["Dimensions"]), body.get("Unit")
    )
    read = statistics.reader(body.get("Statistic") or body["ExtendedStatistic"])
    assert read is not None
    periods = points.series(cx, metric, start, end, period)
    return [read(periods[at]) if at in periods else None for at in (start + step * period for step in range(count))]


def decide(
    body: dict[str, Any], current: str, values: list[float | None], end: float, period: int
) -> tuple[str, str, str]:
    """Return the new state, its reason as a sentence, and as JSON."""
    compare, words = COMPARISONS[body["ComparisonOperator"]]
    threshold, wanted = body["Threshold"], body["EvaluationPeriods"]
    rule = Rule(wanted, body.get("DatapointsToAlarm", wanted), body.get("TreatMissingData", "missing"))
    state = judge([None if value is None else compare(value, threshold) for value in values], rule, current)
    ages = range(len(values), 0, -1)
    real = [(end - age * period, value) for age, value in zip(ages, values, strict=True) if value is not None][-wanted:]
    breaching = sum(compare(value, threshold) for _, value in real)
    data = _reason_data(body, real, end, period)
    if state == INSUFFICIENT or not real:
        unknown = wanted - len(real)
        text = f"{'Insufficient Data' if state == INSUFFICIENT else 'Threshold Crossed'}: "
        text += (
            "no datapoints were received for "
            if not real
            else f"{unknown} datapoint{'s were' if unknown > 1 else ' was'} unknown for "
        )
        return state, f"{text}{wanted} period{'s' if wanted > 1 else ''}.", data
    counted = breaching if state == ALARM else len(real) - breaching
    listed = ", ".join(f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, value in real[::-1])
    verb = "was" if state == ALARM else "was not"
    needed = rule.to_alarm if state == ALARM else wanted - rule.to_alarm + 1
    move_text = "OK -> ALARM" if state == ALARM else "ALARM -> OK"
    text = (
        f"Threshold Crossed: {counted} out of the last {len(real)} datapoints [{listed}] {verb} {words} the threshold "
    )
    plural = "s" if needed > 1 else ""
    return state, f"{text}({threshold}) (minimum {needed} datapoint{plural} for {move_text} transition).", data


def _reason_data(body: dict[str, Any], real: list[tuple[float, float]], end: float, period: int) -> str:
    data = {
        "version": "1.0",
        "queryDate": _stamp(end),
        "period": period,
        "recentDatapoints": [value for _, value in real],
        "threshold": body["Threshold"],
        "evaluatedDatapoints": [{"timestamp": _stamp(at), "value": value} for at, value in real[::-1]],
    }
    if real:
        data["startDate"] = _stamp(real[0][0])
    if "MetricName" in body:
        data["statistic"] = body.get("Statistic") or body["ExtendedStatistic"]
    return json.dumps(data)


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _evaluate_rule(cx: Context, alarm: Row, states: dict[tuple[str, str, str], str]) -> None:
    children = rules.parse(alarm.document["AlarmRule"])
    known = {name: states.get((alarm.account, alarm.region, name), "") for name in children.children}
    state = ALARM if children.holds(known) else OK
    if state == alarm.status:
        return
    listed = ", ".join(f"{name} is {known[name] or 'gone'}" for name in sorted(known))
    reason = f"{alarm.arn} transitioned to {state}: {listed or 'its rule names no alarm'}."
    data = json.dumps({"triggeringAlarms": [{"name": name, "state": value} for name, value in sorted(known.items())]})
    cx.write(lambda inside: move(inside, alarm, state, reason, data))


@on("AwsCallDone", name="aws.cloudwatch.watch.remember_action")
def remember_action(cx: Context, event: Event) -> None:
    """Write into an alarm's history how its action went."""
    if "alarm" not in event.detail:
        return
    name, target = event.detail["alarm"], event.detail["target"]
    alarm = ALARMS.find(cx, name)
    body = {"AlarmName": name} if alarm is None else alarm.document
    data: dict[str, Any] = {"actionState": event.new, "notificationResource": target}
    if event.new == "Failed":
        data["error"] = event.reason
        remember(cx, body, "Action", f'Failed to execute action {target}. Received error: "{event.reason}"', data)
    else:
        remember(cx, body, "Action", f"Successfully executed action {target}", data)
