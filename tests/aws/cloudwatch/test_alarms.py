"""Alarms: what is kept of them, how they judge, and that they do it on the account's clock."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.aws.cloudwatch.judgement import Rule, judge
from tests.aws.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.conftest import AccountClock

POINT = {"0": False, "X": True, "-": None}
WATCHED = {
    "Namespace": "lab", "MetricName": "loss", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 3.0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


# Both tables of the user guide, "How alarm state is evaluated when data is missing".
@pytest.mark.parametrize(
    ("points", "to_alarm", "expected"),
    [
        ("0 - X - X", 3, ("OK", "OK", "OK", "OK")),
        ("0 - - - -", 3, ("OK", "OK", "OK", "OK")),
        ("- - - - -", 3, ("INSUFFICIENT_DATA", "now", "ALARM", "OK")),
        ("0 X X - X", 3, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("- - - - X", 3, ("INSUFFICIENT_DATA", "now", "ALARM", "OK")),
        ("X - - - -", 3, ("ALARM", "now", "ALARM", "OK")),
        ("0 - X - X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 0 X 0 X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
        ("0 - X - -", 2, ("OK", "OK", "ALARM", "OK")),
        ("- - - - 0", 2, ("OK", "OK", "ALARM", "OK")),
        ("- - - - X", 2, ("INSUFFICIENT_DATA", "now", "ALARM", "OK")),
    ],
)
def test_states_are_those_of_the_guide(points: str, to_alarm: int, expected: tuple[str, ...]) -> None:
    row = [POINT[point] for point in points.split()]
    ways = ("missing", "ignore", "breaching", "notBreaching")
    assert tuple(judge(row, Rule(3, to_alarm, way), "now") for way in ways) == expected


def put(client: Any, name: str = "a", **given: Any) -> None:
    client.put_metric_alarm(AlarmName=name, **{k: v for k, v in (WATCHED | given).items() if v is not None})


def point(client: Any, at: float, value: float) -> None:
    datum = {"MetricName": "loss", "Timestamp": datetime.fromtimestamp(at, UTC), "Value": value}
    client.put_metric_data(Namespace="lab", MetricData=[datum])


def state(client: Any, name: str = "a") -> str:
    described = client.describe_alarms(AlarmNames=[name])
    alarm: dict[str, Any] = [*described["MetricAlarms"], *described["CompositeAlarms"]][0]
    return str(alarm["StateValue"])


def test_an_alarm_follows_its_metric(cloudwatch: Any, clock: AccountClock, at_start: float) -> None:
    now = at_start + 3600
    put(cloudwatch, TreatMissingData="notBreaching")
    until(lambda: state(cloudwatch) == "OK")
    point(cloudwatch, now + 1, 5.0)
    clock.to(now + 61)
    until(lambda: state(cloudwatch) == "ALARM")
    [alarm] = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert alarm["StateReason"] == (
        "Threshold Crossed: 1 out of the last 1 datapoints [5.0 (01/01/26 01:00:00)] was greater than the threshold (3.0) "
        "(minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [5.0]
    clock.to(now + 61 + 3 * 60)  # out of the evaluation range
    until(lambda: state(cloudwatch) == "OK")
    items = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="StateUpdate", ScanBy="TimestampAscending")
    summaries = [item["HistorySummary"] for item in items["AlarmHistoryItems"]]
    assert summaries == [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]


def test_an_expression_two_of_three_and_a_composite(cloudwatch: Any, clock: AccountClock, at_start: float) -> None:
    now = at_start + 3600
    metric = {"Metric": {"Namespace": "lab", "MetricName": "loss"}, "Period": 60, "Stat": "Maximum"}
    queries = [
        {"Id": "m1", "MetricStat": metric, "ReturnData": False},
        {"Id": "e1", "Expression": "m1 * 10", "Label": "tenfold"},
    ]
    only: dict[str, Any] = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    put(cloudwatch, Metrics=queries, Threshold=30.0, EvaluationPeriods=3, DatapointsToAlarm=2, **only)
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule='ALARM("a") AND NOT OK(a)')
    until(lambda: state(cloudwatch, "both") == "OK")
    for minute, value in enumerate((5.0, 1.0, 5.0)):
        point(cloudwatch, now + 60 * minute, value)
    clock.to(now + 181)
    until(lambda: state(cloudwatch, "both") == "ALARM")
    assert state(cloudwatch) == "ALARM"
    [parent] = cloudwatch.describe_alarms(ParentsOfAlarmName="a")["CompositeAlarms"]
    [child] = cloudwatch.describe_alarms(ChildrenOfAlarmName="both")["MetricAlarms"]
    assert (parent["AlarmName"], child["AlarmName"]) == ("both", "a")


def test_an_alarm_is_kept_replaced_and_deleted(cloudwatch: Any) -> None:
    put(cloudwatch, AlarmDescription="first", Tags=[{"Key": "team", "Value": "lab"}])
    cloudwatch.get_waiter("alarm_exists").wait(AlarmNames=["a"], WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    arn = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmArn"]
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="by hand", StateReasonData='{"a": 1}')
    put(cloudwatch, AlarmDescription="second", Threshold=4.0)
    [alarm] = cloudwatch.describe_alarms(AlarmNamePrefix="a")["MetricAlarms"]
    assert (alarm["AlarmDescription"], alarm["Threshold"]) == ("second", 4.0)
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "lab"}]
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "x", "Value": "y"}])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "x", "Value": "y"}]
    cloudwatch.disable_alarm_actions(AlarmNames=["a", "none"])
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is False
    cloudwatch.enable_alarm_actions(AlarmNames=["a"])
    cloudwatch.delete_alarms(AlarmNames=["a", "none"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    items = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="ConfigurationUpdate")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in items] == [
        'Alarm "a" deleted', 'Alarm "a" updated', 'Alarm "a" updated', 'Alarm "a" updated', 'Alarm "a" created'
    ]  # fmt: skip


def test_alarms_and_history_come_in_pages(cloudwatch: Any) -> None:
    names = [f"alarm-{number:02d}" for number in range(7)]
    for name in names:
        put(cloudwatch, name)
    pages = list(cloudwatch.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 3}))
    assert [[alarm["AlarmName"] for alarm in page["MetricAlarms"]] for page in pages] == [
        names[:3],
        names[3:6],
        names[6:],
    ]
    history = cloudwatch.get_paginator("describe_alarm_history").paginate(
        HistoryItemType="ConfigurationUpdate", PaginationConfig={"PageSize": 2}
    )
    assert [item["AlarmName"] for page in history for item in page["AlarmHistoryItems"]] == names[::-1]
    assert len(cloudwatch.describe_alarms(AlarmNamePrefix="ALARM")["MetricAlarms"]) == 0
    requested = {"MetricName": "loss", "Namespace": "lab"}
    assert len(cloudwatch.describe_alarms_for_metric(**requested, Period=60)["MetricAlarms"]) == 7
    assert cloudwatch.describe_alarms_for_metric(**requested, Period=120)["MetricAlarms"] == []
    host = [{"Name": "host", "Value": "a"}]
    assert cloudwatch.describe_alarms_for_metric(**requested, Dimensions=host)["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Statistic": None}, "InvalidParameterCombination"),
        ({"Statistic": None, "ExtendedStatistic": "p101"}, "InvalidParameterValue"),
        ({"Threshold": None}, "MissingParameter"),
        ({"Period": None}, "MissingParameter"),
        ({"Period": 45}, "InvalidParameterValue"),
        ({"EvaluationPeriods": 1441}, "ValidationError"),
        ({"DatapointsToAlarm": 2}, "ValidationError"),
        ({"TreatMissingData": "maybe"}, "ValidationError"),
        ({"AlarmActions": ["mail me"]}, "ValidationError"),
        ({"Metrics": [{"Id": "m1", "Expression": "1"}]}, "ValidationError"),
        (
            {
                "Metrics": [{"Id": "e1", "Expression": "SUM(SEARCH('x', 'Sum', 60))"}],
                **dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period")),
            },
            "ValidationError",
        ),
        ({"ThresholdMetricId": "m1"}, "NotImplemented"),
        ({"ComparisonOperator": "LessThanLowerThreshold"}, "NotImplemented"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "NotImplemented"),
        ({"EvaluationWindow": {"WallClockWindow": {}}}, "NotImplemented"),
    ],
)
def test_a_bad_alarm_is_refused(cloudwatch: Any, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        put(cloudwatch, **given)
    assert caught.value.response["Error"]["Code"] == code
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize(
    "rule", ["ALARM(", "ALARM(a) OK(a)", 'ALARM("none")', "MAYBE(a)", "(" * 300 + "TRUE", "ALARM(me)"]
)
def test_a_bad_rule_is_refused(cloudwatch: Any, rule: str) -> None:
    put(cloudwatch)
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_composite_alarm(AlarmName="me", AlarmRule=rule)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_what_is_not_there_is_not_found(cloudwatch: Any, account: str) -> None:
    for request, given, code in (
        (cloudwatch.set_alarm_state, {"AlarmName": "a", "StateValue": "OK", "StateReason": ""}, "ResourceNotFound"),
        (
            cloudwatch.list_tags_for_resource,
            {"ResourceARN": f"arn:aws:cloudwatch:us-east-1:{account}:alarm:a"},
            "ResourceNotFoundException",
        ),
    ):
        with pytest.raises(ClientError) as caught:
            request(**given)
        assert caught.value.response["Error"]["Code"] == code
    put(cloudwatch)
    for data in ("{", "[" * 4000):
        with pytest.raises(ClientError) as caught:
            cloudwatch.set_alarm_state(AlarmName="a", StateValue="OK", StateReason="", StateReasonData=data)
        assert caught.value.response["Error"]["Code"] == "InvalidFormat"


def test_an_action_of_no_service_we_have_fails_in_the_history(cloudwatch: Any) -> None:
    target = "arn:aws:automate:us-east-1:ec2:stop"
    put(cloudwatch, AlarmActions=[target])
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="test")

    def acted() -> Any:
        return cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]

    [item] = until(acted)
    assert item["HistorySummary"].startswith(f"Failed to execute action {target}.")


def test_alarms_of_accounts_do_not_meet(aws: Callable[..., Any], cloudwatch: Any) -> None:
    put(cloudwatch)
    assert aws("cloudwatch", region="eu-west-1").describe_alarms()["MetricAlarms"] == []
