"""PutMetricAlarm, PutCompositeAlarm, and what else changes alarms. Source: CloudWatch API reference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import grammar, points, queries, refusals, rules, statistics
from backends.aws.cloudwatch.alarm_store import ALARMS, COMPOSITE, SLOTS, arn_of, move, remember, type_of
from backends.aws.cloudwatch.judgement import COMPARISONS, INSUFFICIENT
from backends.core import arn as arns
from backends.core import errors, tags
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

DAY_S, WEEK_S, HOUR_S = 86400, 604800, 3600
NEEDED = ("EvaluationPeriods", "ComparisonOperator", "Threshold")
MISSING = frozenset({"missing", "ignore", "breaching", "notBreaching"})
OF_ONE_METRIC = ("Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")
NOT_BUILT = (
    "ThresholdMetricId", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval", "ActionConfiguration",
    "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod",
)  # fmt: skip
FIRST_REASON = "Unchecked: Initial alarm creation"


@operation("PutMetricAlarm", service="cloudwatch")
def put_metric_alarm(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make an alarm, or replace its configuration and keep its state."""
    _refuse_unbuilt(request)
    if "WallClockWindow" in request.get("EvaluationWindow", {}):
        raise errors.not_implemented("cloudwatch: EvaluationWindow.WallClockWindow")
    for name in NEEDED:
        if name not in request:
            raise refusals.missing(f"The parameter {name} is required.")
    if request["ComparisonOperator"] not in COMPARISONS:
        raise errors.not_implemented("cloudwatch: alarms on anomaly detection")
    _check_watched(cx, request)
    _check_settings(request)
    return _put(cx, request)


def _refuse_unbuilt(request: dict[str, Any]) -> None:
    for name in NOT_BUILT:
        if name in request:
            raise errors.not_implemented(f"cloudwatch: {name}")
    for target in (t for key in ("AlarmActions", "OKActions", "InsufficientDataActions") for t in request.get(key, [])):
        if arns.parse(target) is None:
            raise refusals.validation(f"Invalid arn syntax: {target}")


def _check_watched(cx: Context, request: dict[str, Any]) -> None:
    if "Metrics" in request:
        if any(name in request for name in ("MetricName", *OF_ONE_METRIC)):
            raise refusals.validation("Metrics list and MetricName must not both be specified.")  # Unverified: wording
        queries.check(cx, request["Metrics"])
        if sum(query.get("ReturnData", True) for query in request["Metrics"]) != 1:
            raise refusals.validation("Exactly one element of the metrics list should return data.")
        if any(
            "SEARCH" in grammar.functions_in(grammar.parse(q["Expression"]))
            for q in request["Metrics"]
            if "Expression" in q
        ):
            raise refusals.validation("SEARCH is not supported on Metric Alarms.")
        return
    for name in ("MetricName", "Namespace", "Period"):
        if name not in request:
            raise refusals.missing(f"The parameter {name} is required.")
    if ("Statistic" in request) == ("ExtendedStatistic" in request):
        raise refusals.combination("Must specify either Statistic or ExtendedStatistic")
    extended = request.get("ExtendedStatistic")
    if extended is not None and (extended in statistics.PLAIN or statistics.reader(extended) is None):
        raise refusals.value(f"The value {extended} for parameter ExtendedStatistic is not supported.")
    points.check_period(request["Period"], "Period")
    refusals.dimensions(request.get("Dimensions", []))


def _check_settings(request: dict[str, Any]) -> None:
    periods, period = request["EvaluationPeriods"], period_of(request)
    longest = WEEK_S if period >= HOUR_S else DAY_S
    if periods * period > longest:
        raise refusals.validation(
            "Metrics cannot be checked across more than "
            f"{'seven days' if longest == WEEK_S else 'a day'} (EvaluationPeriods * Period must be <= {longest})."
        )
    if request.get("DatapointsToAlarm", periods) > periods:
        raise refusals.validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if request.get("TreatMissingData", "missing") not in MISSING:
        raise refusals.validation(
            f"The value {request['TreatMissingData']} for parameter TreatMissingData is not supported."
        )
    low_samples = request.get("EvaluateLowSampleCountPercentile", "evaluate")
    if low_samples == "ignore":
        raise errors.not_implemented("cloudwatch: EvaluateLowSampleCountPercentile=ignore")
    if low_samples != "evaluate":
        raise refusals.validation(f"Option {low_samples} is not supported.")  # Unverified: wording


def period_of(body: dict[str, Any]) -> int:
    """Return the period that an alarm evaluates by: its metric's, or the longest of its queries'."""
    if "Period" in body:
        return int(body["Period"])
    queries_of = body["Metrics"]
    returned = next(query for query in queries_of if query.get("ReturnData", True))
    requested = [query["MetricStat"]["Period"] for query in queries_of if "MetricStat" in query]
    return int(returned.get("Period", max(requested, default=60)))


@operation("PutCompositeAlarm", service="cloudwatch")
def put_composite_alarm(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make an alarm over other alarms, which must be there, or replace its configuration."""
    _refuse_unbuilt(request)
    children = rules.parse(request["AlarmRule"]).children
    absent = sorted(name for name in children if ALARMS.find(cx, name) is None or name == request["AlarmName"])
    if absent:
        raise refusals.validation(
            f"Could not save the composite alarm as alarms {absent} in the alarm rule do not exist"
        )
    return _put(cx, request)


def _put(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    name, now = request["AlarmName"], cx.clock.now()
    arn, before = arn_of(cx, name), ALARMS.find(cx, name)
    if before is not None and type_of(before.document) != type_of(request):
        raise refusals.validation(f"An alarm named {name} of another type exists already.")  # Unverified: wording
    body: dict[str, Any] = {"ActionsEnabled": True, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": []}
    if type_of(request) != COMPOSITE:
        body |= {"Dimensions": []} if "MetricName" in request else {}
        body["EvaluationWindow"] = {"SlidingWindow": {}}
    body |= {key: value for key, value in request.items() if key != "Tags"}
    body |= {"AlarmArn": arn, "AlarmConfigurationUpdatedTimestamp": now}
    if before is None:
        state = {"StateValue": INSUFFICIENT, "StateReason": FIRST_REASON}
        body |= state | {"StateUpdatedTimestamp": now, "StateTransitionedTimestamp": now}
        if request.get("Tags"):
            tags.put(cx, arn, request["Tags"])
    else:
        body |= {key: value for key, value in before.document.items() if key.startswith("State")}
    ALARMS.put(cx, name, arn, body, body["StateValue"])
    forget_slot(cx, name)
    done = "created" if before is None else "updated"
    changed = {k: v for k, v in body.items() if not k.startswith("State")}
    kind = {"created": "Create", "updated": "Update"}[done]
    remember(cx, body, "ConfigurationUpdate", f'Alarm "{name}" {done}', {"type": kind, "updatedAlarm": changed})
    return {}


def forget_slot(cx: Context, name: str) -> None:
    """Let the watch look at an alarm again at its next turn."""
    assert cx.tx is not None
    slots, slot = SLOTS.of(cx.kernel), (cx.account, cx.region, name)

    def forget() -> None:
        slots.pop(slot, None)

    cx.tx.after_commit.append(forget)


@operation("DeleteAlarms", service="cloudwatch")
def delete_alarms(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete alarms; names that are none do not matter. At most one composite alarm in a request."""
    alarms = [alarm for name in request["AlarmNames"] if (alarm := ALARMS.find(cx, name)) is not None]
    if sum(type_of(alarm.document) == COMPOSITE for alarm in alarms) > 1:
        raise refusals.validation("Only one composite alarm can be deleted in a request.")  # Unverified: wording
    for alarm in alarms:
        ALARMS.delete(cx, alarm)
        forget_slot(cx, alarm.key)
        remember(cx, alarm.document, "ConfigurationUpdate", f'Alarm "{alarm.key}" deleted', {"type": "Delete"})
    return {}


@operation("SetAlarmState", service="cloudwatch")
def set_alarm_state(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Put an alarm into a state, until it is evaluated next."""
    alarm = ALARMS.find(cx, request["AlarmName"])
    if alarm is None:
        raise refusals.not_found()
    data = request.get("StateReasonData")
    if data is not None:
        try:
            json.loads(data)
        except (ValueError, RecursionError) as error:
            raise errors.AwsError(
                "InvalidFormatFault", "TemplateParseException: StateReasonData is not JSON."
            ) from error
    if not move(cx, alarm, request["StateValue"], request["StateReason"], data):
        raise errors.AwsError("ConcurrentModificationException", "The alarm was changed by another request; try again.")
    return {}


@operation("EnableAlarmActions", service="cloudwatch")
def enable_alarm_actions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Let alarms act again; names that are none do not matter."""
    return _set_actions(cx, request, enabled=True)


@operation("DisableAlarmActions", service="cloudwatch")
def disable_alarm_actions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep alarms from acting; their states go on changing."""
    return _set_actions(cx, request, enabled=False)


def _set_actions(cx: Context, request: dict[str, Any], *, enabled: bool) -> dict[str, Any]:
    for name in request["AlarmNames"]:
        alarm = ALARMS.find(cx, name)
        if alarm is not None and alarm.document.get("ActionsEnabled") is not enabled:
            body = alarm.document | {"ActionsEnabled": enabled}
            ALARMS.put(cx, name, alarm.arn, body, alarm.status)
            summary = f'Alarm "{name}" updated'
            remember(cx, body, "ConfigurationUpdate", summary, {"type": "Update", "actionsEnabled": enabled})
    return {}


@operation("TagResource", "UntagResource", "ListTagsForResource", service="cloudwatch")
def tag_alarm(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to an alarm, remove some, or return them."""
    return tags.answer(cx, _tagged(cx, request), request, ("Tags", "TagKeys"))


def _tagged(cx: Context, request: dict[str, Any]) -> str:
    arn: str = request["ResourceARN"]
    named = arns.parse(arn)
    name = named.resource.removeprefix("alarm:") if named is not None else ""
    if named is None or arn != arn_of(cx, name) or ALARMS.find(cx, name) is None:
        raise errors.AwsError("ResourceNotFoundException", f"Unknown resource {arn}", status=404)
    return arn
