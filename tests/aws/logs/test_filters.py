"""What patterns find, what metric filters make of it, retention, tags."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.conftest import AccountClock

STREAM = {"logGroupName": "/g", "logStreamName": "s"}
DAY_MS = 86_400_000


@pytest.fixture
def logs(aws: Callable[..., Any]) -> Any:
    """Return a client of an account that has one group with one stream."""
    client = aws("logs")
    client.create_log_group(logGroupName="/g")
    client.create_log_stream(**STREAM)
    return client


def put(logs: Any, *messages: str, at_ms: int | None = None, stream: str = "s") -> dict[str, Any]:
    at_ms = int(time.time() * 1000) if at_ms is None else at_ms
    events = [{"timestamp": at_ms + number, "message": message} for number, message in enumerate(messages)]
    answer: dict[str, Any] = logs.put_log_events(logGroupName="/g", logStreamName=stream, logEvents=events)
    return answer


def test_events_are_found_by_pattern_in_pages_that_lose_none(logs: Any) -> None:
    for start in range(0, 25_000, 5000):
        put(
            logs,
            *(f"{'ERROR' if n % 1000 == 7 else 'fine'} {n}" for n in range(start, start + 5000)),
            at_ms=int(time.time() * 1000) + start,
        )
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="/g", filterPattern="ERROR", limit=10))
    messages = [event["message"] for page in pages for event in page["events"]]
    assert messages == [f"ERROR {n}" for n in range(7, 25_000, 1000)]
    assert all(len(page["events"]) <= 10 for page in pages)
    assert logs.filter_log_events(logGroupName="/g", filterPattern="nowhere", logStreamNames=["s"])["events"] == []


def test_events_are_followed_as_the_cli_tails_them(logs: Any) -> None:
    """`aws logs tail --follow` (version 2): from the newest time on, without the ids it has seen at that time."""
    logs.create_log_stream(logGroupName="/g", logStreamName="t")
    now_ms = int(time.time() * 1000)
    requested: dict[str, Any] = {"logGroupName": "/g", "interleaved": True, "startTime": now_ms - 600_000}
    seen: dict[str, str] = {}
    for number in range(3):
        put(logs, f"first {number}", at_ms=now_ms)
        put(logs, f"second {number}", at_ms=now_ms, stream="t")
        while True:
            page = logs.filter_log_events(**requested, limit=2)
            seen |= {event["eventId"]: event["message"] for event in page["events"]}
            if "nextToken" not in page:
                break
            requested["nextToken"] = page["nextToken"]
        requested.pop("nextToken", None)
        requested["startTime"] = max(event["timestamp"] for event in page["events"])
    assert sorted(seen.values()) == sorted(f"{which} {number}" for which in ("first", "second") for number in range(3))


def test_prefixes_do_not_fold_case(logs: Any) -> None:
    logs.create_log_group(logGroupName="/G2")
    assert [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePattern="G")["logGroups"]] == ["/G2"]
    logs.create_log_stream(logGroupName="/g", logStreamName="S2")
    assert [g["logGroupName"] for g in logs.describe_log_groups(logGroupNamePrefix="/g")["logGroups"]] == ["/g"]
    streams = logs.describe_log_streams(logGroupName="/g", logStreamNamePrefix="S")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["S2"]


def test_a_metric_filter_counts_and_measures(logs: Any, aws: Callable[..., Any]) -> None:
    cloudwatch = aws("cloudwatch")
    put(logs, '{"latency": 1, "path": "/before"}')
    base = {"metricNamespace": "web"}
    logs.put_metric_filter(
        logGroupName="/g", filterName="errors", filterPattern="?ERROR ?WARN",
        metricTransformations=[{**base, "metricName": "errors", "metricValue": "1", "defaultValue": 0.0}],
    )  # fmt: skip
    logs.put_metric_filter(
        logGroupName="/g", filterName="latency", filterPattern="{ $.latency = * }",
        metricTransformations=[{**base, "metricName": "latency", "metricValue": "$.latency", "unit": "Milliseconds",
                                "dimensions": {"path": "$.path"}}],
    )  # fmt: skip
    assert logs.describe_log_groups()["logGroups"][0]["metricFilterCount"] == 2
    put(logs, "ERROR one", "fine", "WARN two", '{"latency": 12.5, "path": "/a"}', '{"latency": 7.5, "path": "/a"}')
    now = time.time()

    def statistics(name: str, **given: Any) -> list[dict[str, Any]]:
        requested = {
            "Namespace": "web",
            "MetricName": name,
            "Period": 3600,
            "Statistics": ["Sum", "SampleCount"],
            **given,
        }
        times = {"StartTime": datetime.fromtimestamp(now - 600, UTC), "EndTime": datetime.fromtimestamp(now + 600, UTC)}
        points: list[dict[str, Any]] = cloudwatch.get_metric_statistics(**requested, **times)["Datapoints"]
        return points

    [point] = until(lambda: statistics("errors"))
    assert (point["Sum"], point["SampleCount"]) == (2.0, 5.0)
    path = [{"Name": "path", "Value": "/a"}]
    [point] = until(lambda: statistics("latency", Dimensions=path))
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (20.0, 2.0, "Milliseconds")
    assert [m["Dimensions"] for m in cloudwatch.list_metrics(MetricName="latency")["Metrics"]] == [path]
    filters = logs.describe_metric_filters(logGroupName="/g", filterNamePrefix="lat")["metricFilters"]
    assert [entry["filterName"] for entry in filters] == ["latency"]
    filters = logs.describe_metric_filters(metricName="errors", metricNamespace="web")["metricFilters"]
    assert [entry["filterName"] for entry in filters] == ["errors"]
    logs.delete_metric_filter(logGroupName="/g", filterName="errors")
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="metric filter does not exist"):
        logs.delete_metric_filter(logGroupName="/g", filterName="errors")
    logs.delete_log_group(logGroupName="/g")
    logs.create_log_group(logGroupName="/g")
    assert logs.describe_metric_filters(logGroupName="/g")["metricFilters"] == []


@pytest.mark.parametrize(
    ("text", "entry", "sentence"),
    [
        ("a.b", {"metricValue": "1"}, "Invalid filter pattern"),
        ("ERROR", {"metricValue": "$.x"}, "names nothing"),
        ("ERROR", {"metricValue": "many"}, "Invalid metricValue"),
        ("ERROR", {"metricValue": "1", "metricNamespace": "AWS/x"}, "reserved namespace"),
        ("{ $.a = 1 }", {"metricValue": "1", "defaultValue": 0.0, "dimensions": {"a": "$.a"}}, "mutually exclusive"),
    ],
)
def test_a_bad_metric_filter_is_refused(logs: Any, text: str, entry: dict[str, Any], sentence: str) -> None:
    given = {"metricName": "m", "metricNamespace": "web"} | entry
    with pytest.raises(logs.exceptions.InvalidParameterException, match=sentence):
        logs.put_metric_filter(logGroupName="/g", filterName="f", filterPattern=text, metricTransformations=[given])
    assert logs.describe_metric_filters()["metricFilters"] == []


def test_retention_is_kept_by_the_clock(logs: Any, clock: AccountClock) -> None:
    now_ms = int(time.time() * 1000)
    put(logs, "old", at_ms=now_ms - 2 * DAY_MS)
    put(logs, "young", at_ms=now_ms)
    logs.put_retention_policy(logGroupName="/g", retentionInDays=1)
    until(lambda: [e["message"] for e in logs.get_log_events(**STREAM, startFromHead=True)["events"]] == ["young"])
    [stream] = logs.describe_log_streams(logGroupName="/g")["logStreams"]
    assert stream["firstEventTimestamp"] == now_ms
    clock.forward(86400 + 60)
    until(lambda: logs.get_log_events(**STREAM, startFromHead=True)["events"] == [])
    with pytest.raises(ClientError, match="retentionInDays"):
        logs.put_retention_policy(logGroupName="/g", retentionInDays=2)
    logs.delete_retention_policy(logGroupName="/g")
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]


def test_events_of_no_time_of_today_are_rejected_by_their_places(logs: Any) -> None:
    now_ms = int(time.time() * 1000)
    answer = put(logs, "far too old", at_ms=now_ms - 15 * DAY_MS)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    events = [{"timestamp": now_ms, "message": "now"}, {"timestamp": now_ms + 3 * 3_600_000, "message": "too new"}]
    answer = logs.put_log_events(**STREAM, logEvents=events)
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    assert [e["message"] for e in logs.get_log_events(**STREAM, startFromHead=True)["events"]] == ["now"]
    with pytest.raises(logs.exceptions.InvalidParameterException, match="24 hours"):
        logs.put_log_events(**STREAM, logEvents=[{"timestamp": now_ms - 2 * DAY_MS, "message": "a"}, events[0]])


def test_groups_have_tags(logs: Any) -> None:
    logs.create_log_group(logGroupName="/tagged", tags={"team": "lab"})
    arn = logs.describe_log_groups(logGroupNamePrefix="/tagged")["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "lab", "a": "1"}
    logs.tag_log_group(logGroupName="/tagged", tags={"c": "3"})
    logs.untag_log_group(logGroupName="/tagged", tags=["a"])
    assert logs.list_tags_log_group(logGroupName="/tagged")["tags"] == {"team": "lab", "c": "3"}
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.list_tags_for_resource(resourceArn=f"{arn}-none")
    logs.delete_log_group(logGroupName="/tagged")
    logs.create_log_group(logGroupName="/tagged")
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}


def test_a_subscription_is_kept_and_refused(logs: Any, account: str) -> None:
    stream = f"arn:aws:kinesis:us-east-1:{account}:stream/to"
    given = {"logGroupName": "/g", "filterName": "f", "filterPattern": "ERROR", "destinationArn": stream}
    with pytest.raises(logs.exceptions.InvalidParameterException, match="without roleArn"):
        logs.put_subscription_filter(**given)
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    for name in ("f", "g", "f"):
        logs.put_subscription_filter(**given | {"filterName": name}, roleArn=role)
    with pytest.raises(logs.exceptions.LimitExceededException):
        logs.put_subscription_filter(**given | {"filterName": "h"}, roleArn=role)
    filters = logs.describe_subscription_filters(logGroupName="/g")["subscriptionFilters"]
    assert [(entry["filterName"], entry["distribution"]) for entry in filters] == [
        ("f", "ByLogStream"),
        ("g", "ByLogStream"),
    ]
    logs.delete_subscription_filter(logGroupName="/g", filterName="f")
    assert len(logs.describe_subscription_filters(logGroupName="/g")["subscriptionFilters"]) == 1
