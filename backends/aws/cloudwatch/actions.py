"""What an alarm does when its state changes: it tells SNS topics and Lambda functions, by `AwsCall` events.

Whoever answers for those services (moto) hears the event, calls, and says by `AwsCallDone` how that went; history keeps it.
Source of the message: user guide, "Notifying users on alarm changes", and public captures of such messages.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader

from backends.core import arn as arns
from backends.core import events

if TYPE_CHECKING:
    from backends.core.context import Context

LISTS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def emit(cx: Context, body: dict[str, Any], old: str) -> None:
    """Emit the actions of an alarm's new state."""
    if not body.get("ActionsEnabled", True):
        return
    for target in body.get(LISTS[body["StateValue"]], []):
        detail = {"alarm": body["AlarmName"], "target": target}
        call = _call(cx, body, old, target)
        if call is None:
            error = "LocalMaker runs actions of SNS and Lambda only."
            events.emit(cx, "AwsCallDone", body["AlarmArn"], "", "Failed", error, detail)
        else:
            sender = {"service": "cloudwatch.amazonaws.com", "account": cx.account, "arn": body["AlarmArn"]}
            events.emit(
                cx, "AwsCall", body["AlarmArn"], "", call["service"], "", call | {"about": detail, "sender": sender}
            )


def _call(cx: Context, body: dict[str, Any], old: str, target: str) -> dict[str, Any] | None:
    named = arns.parse(target)
    if named is None or named.service not in {"sns", "lambda"}:
        return None
    if named.service == "sns":
        place = region_name(cx.region)
        subject = f'{body["StateValue"]}: "{body["AlarmName"]}" in {place}'[:100]
        given = {"TopicArn": target, "Subject": subject, "Message": json.dumps(message(cx, body, old))}
        return {"service": "sns", "operation": "Publish", "region": named.region, "parameters": given}
    payload = json.dumps({"source": "aws.cloudwatch", "alarmArn": body["AlarmArn"], "accountId": cx.account,
                          "time": _time(body["StateUpdatedTimestamp"]), "region": cx.region,
                          "alarmData": {"alarmName": body["AlarmName"], "state": {"value": body["StateValue"]},
                                        "previousState": {"value": old}}})  # fmt: skip
    given = {"FunctionName": target, "InvocationType": "Event", "Payload": payload}
    return {"service": "lambda", "operation": "Invoke", "region": named.region, "parameters": given}


def message(cx: Context, body: dict[str, Any], old: str) -> dict[str, Any]:
    """Write the message that subscribers of the topic get."""
    shown = {
        "AlarmName": body["AlarmName"],
        "AlarmDescription": body.get("AlarmDescription"),
        "AWSAccountId": cx.account,
        "AlarmConfigurationUpdatedTimestamp": _time(body["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": body["StateValue"],
        "NewStateReason": body["StateReason"],
        "StateChangeTime": _time(body["StateUpdatedTimestamp"]),
        "Region": region_name(cx.region),
        "AlarmArn": body["AlarmArn"],
        "OldStateValue": old,
        "OKActions": body.get("OKActions", []),
        "AlarmActions": body.get("AlarmActions", []),
        "InsufficientDataActions": body.get("InsufficientDataActions", []),
    }
    return shown | ({"AlarmRule": body["AlarmRule"]} if "AlarmRule" in body else {"Trigger": _trigger(body)})


def _trigger(body: dict[str, Any]) -> dict[str, Any]:
    trigger: dict[str, Any] = {}
    if "MetricName" in body:
        extended = "ExtendedStatistic" in body
        trigger |= {
            "MetricName": body["MetricName"],
            "Namespace": body["Namespace"],
            "StatisticType": "ExtendedStatistic" if extended else "Statistic",
            "Unit": body.get("Unit"),
            "Dimensions": [{"value": d["Value"], "name": d["Name"]} for d in body.get("Dimensions", [])],
            "Period": body["Period"],
        }
        trigger |= (
            {"ExtendedStatistic": body["ExtendedStatistic"]} if extended else {"Statistic": body["Statistic"].upper()}
        )
    else:
        trigger["Metrics"] = body["Metrics"]
    return trigger | {
        "EvaluationPeriods": body["EvaluationPeriods"],
        "DatapointsToAlarm": body.get("DatapointsToAlarm", body["EvaluationPeriods"]),
        "ComparisonOperator": body["ComparisonOperator"],
        "Threshold": body["Threshold"],
        "TreatMissingData": body.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": body.get("EvaluateLowSampleCountPercentile", ""),
    }


@cache
def region_name(region: str) -> str:
    """Return a region's name for people, from botocore's endpoints; the region itself when it has none."""
    for partition in Loader().load_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
