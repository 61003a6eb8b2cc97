"""Metric data in, statistics and lists out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.conftest import START

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.conftest import AccountClock


def when(offset_s: float) -> datetime:
    return datetime.fromtimestamp(START + offset_s, UTC)


def put(client: Any, *data: dict[str, Any], namespace: str = "lab") -> None:
    client.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "loss"} | datum for datum in data])


def statistics(client: Any, **given: Any) -> list[dict[str, Any]]:
    requested = {"Namespace": "lab", "MetricName": "loss", "StartTime": when(0), "EndTime": when(3600), "Period": 60}
    if "ExtendedStatistics" not in given:
        requested["Statistics"] = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    points: list[dict[str, Any]] = client.get_metric_statistics(**requested | given)["Datapoints"]
    return points


@pytest.mark.usefixtures("at_start")
def test_values_counts_and_sets_add_up(cloudwatch: Any) -> None:
    put(
        cloudwatch,
        {"Timestamp": when(0), "Value": 1.0},
        {"Timestamp": when(59), "Values": [2.0, 3.0], "Counts": [2.0, 1.0]},
        {
            "Timestamp": when(30),
            "StatisticValues": {"SampleCount": 4.0, "Sum": 100.0, "Minimum": 0.5, "Maximum": 50.0},
        },
        {"Timestamp": when(60), "Value": 7.0},
    )
    first, second = statistics(cloudwatch)
    assert (first["Timestamp"], second["Timestamp"]) == (when(0), when(60))
    assert (first["SampleCount"], first["Sum"], first["Minimum"], first["Maximum"]) == (8.0, 108.0, 0.5, 50.0)
    assert first["Average"] == 108.0 / 8
    assert second["Average"] == 7.0
    assert first["Unit"] == "None"


@pytest.mark.usefixtures("at_start")
def test_a_metric_is_its_namespace_name_and_dimensions(cloudwatch: Any) -> None:
    host = [{"Name": "host", "Value": "a"}, {"Name": "gpu", "Value": "0"}]
    put(cloudwatch, {"Timestamp": when(0), "Value": 1.0}, {"Timestamp": when(0), "Value": 2.0, "Dimensions": host})
    put(cloudwatch, {"Timestamp": when(0), "Value": 3.0}, namespace="other")
    assert [point["Sum"] for point in statistics(cloudwatch)] == [1.0]
    assert [point["Sum"] for point in statistics(cloudwatch, Dimensions=host[::-1])] == [2.0]
    assert statistics(cloudwatch, Dimensions=host[:1]) == []
    assert statistics(cloudwatch, StartTime=when(60)) == []
    assert statistics(cloudwatch, StartTime=when(-60), EndTime=when(0)) == []


@pytest.mark.usefixtures("at_start")
def test_each_unit_stands_for_itself(cloudwatch: Any) -> None:
    put(
        cloudwatch,
        {"Timestamp": when(0), "Value": 1.0, "Unit": "Seconds"},
        {"Timestamp": when(0), "Value": 2.0, "Unit": "Count"},
    )
    assert [(p["Unit"], p["Sum"]) for p in statistics(cloudwatch)] == [("Count", 2.0), ("Seconds", 1.0)]
    assert [p["Sum"] for p in statistics(cloudwatch, Unit="Seconds")] == [1.0]
    assert statistics(cloudwatch, Unit="Bytes") == []


OF_ONE_TO_TEN = {
    "p0": 1, "p50": 5, "p90": 9, "p99.9": 10, "p100": 10, "tm90": 5, "TM(:90%)": 5, "TM(10%:90%)": 5.5, "TM(80%:)": 9.5,
    "IQM": 5.5, "TM(2:5)": 4, "tc90": 9, "TC(2:5)": 3, "ts90": 45, "TS(80%:)": 19, "TS(:3)": 6, "wm90": 5.4,
    "WM(10%:90%)": 5.4, "PR(:3)": 30, "PR(3:5)": 20, "PR(9:)": 10,
}  # fmt: skip


@pytest.mark.usefixtures("at_start")
def test_statistics_that_need_every_value(cloudwatch: Any) -> None:
    put(cloudwatch, {"Timestamp": when(0), "Values": [float(value) for value in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)]})
    names = list(OF_ONE_TO_TEN)
    values: dict[str, float] = {}
    for part in (names[:10], names[10:20], names[20:]):
        [point] = statistics(cloudwatch, ExtendedStatistics=part)
        values |= point["ExtendedStatistics"]
    assert values == pytest.approx(OF_ONE_TO_TEN)


@pytest.mark.usefixtures("at_start")
def test_percentiles_need_raw_and_positive_values(cloudwatch: Any) -> None:
    flat = {"SampleCount": 3.0, "Sum": 6.0, "Minimum": 2.0, "Maximum": 2.0}
    put(
        cloudwatch,
        {"Timestamp": when(0), "StatisticValues": flat},
        {"Timestamp": when(60), "StatisticValues": flat | {"Maximum": 3.0}},
        {"Timestamp": when(120), "Value": -1.0},
    )
    points = statistics(cloudwatch, ExtendedStatistics=["p50"])
    assert [(p["Timestamp"], p["ExtendedStatistics"]) for p in points] == [(when(0), {"p50": 2.0})]


@pytest.mark.parametrize(
    ("datum", "code", "sentence"),
    [
        ({}, "MissingParameter", "MetricData.member.1.Value is required"),
        ({"Value": float("nan")}, "InvalidParameterValue", "The value NaN for parameter MetricData.member.1.Value"),
        ({"Value": 2.0**361}, "InvalidParameterValue", "MetricData.member.1.Value is invalid"),
        ({"Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue", "must be of the same size"),
        ({"Values": [1.0], "Counts": [-1.0]}, "InvalidParameterValue", "MetricData.member.1.Counts is invalid"),
        ({"Values": [1.0] * 151}, "InvalidParameterValue", "must not have a size greater than 150"),
        ({"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination", "mutually exclusive"),
        ({"Value": 1.0, "StorageResolution": 30}, "InvalidParameterValue", "StorageResolution"),
        ({"Value": 1.0, "Timestamp": START - 15 * 86400}, "InvalidParameterValue", "two weeks in the past"),
        ({"Value": 1.0, "Timestamp": START + 3600 + 7300}, "InvalidParameterValue", "two hours in the future"),
        ({"Value": 1.0, "Unit": "Furlong"}, "ValidationError", "enum value set"),
        ({"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "1"}] * 2}, "InvalidParameterValue", "twice"),
        ({"Value": 1.0, "Dimensions": [{"Name": f"d{i}", "Value": "1"} for i in range(31)]}, "ValidationError", "30"),
        (
            {"StatisticValues": {"SampleCount": 0.0, "Sum": 0.0, "Minimum": 0.0, "Maximum": 0.0}},
            "InvalidParameterValue",
            "SampleCount is invalid",
        ),
    ],
)
@pytest.mark.usefixtures("at_start")
def test_bad_data_is_refused_whole(cloudwatch: Any, datum: dict[str, Any], code: str, sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence) as caught:
        put(cloudwatch, datum)
    assert caught.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError):
        put(cloudwatch, {"Value": 1.0}, datum)
    assert cloudwatch.list_metrics()["Metrics"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"StartTime": START, "EndTime": START}, "InvalidParameterValue"),
        ({"Statistics": ["Sum"], "ExtendedStatistics": ["p50"]}, "InvalidParameterCombination"),
        ({"ExtendedStatistics": ["p101"]}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["q5"]}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["TM(9%:9)"]}, "InvalidParameterValue"),
        ({"ExtendedStatistics": ["PR(1%:9%)"]}, "InvalidParameterValue"),
        ({"Period": 45}, "InvalidParameterValue"),
        ({"StartTime": START - 86401, "EndTime": START + 60}, "InvalidParameterCombination"),
    ],
)
def test_bad_questions_are_refused(cloudwatch: Any, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        statistics(cloudwatch, **given)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.usefixtures("at_start")
def test_metrics_are_listed_by_what_they_have_and_how_young_they_are(cloudwatch: Any, clock: AccountClock) -> None:
    host = {"Name": "host", "Value": "a"}
    put(cloudwatch, {"Timestamp": when(0), "Value": 1.0}, {"Timestamp": when(0), "Value": 1.0, "Dimensions": [host]})
    put(cloudwatch, {"Timestamp": when(0), "Value": 1.0, "MetricName": "accuracy"}, namespace="zoo")

    def known(**filters: Any) -> set[tuple[str, str, int]]:
        listed = cloudwatch.list_metrics(**filters)["Metrics"]
        return {(entry["Namespace"], entry["MetricName"], len(entry["Dimensions"])) for entry in listed}

    assert known() == {("lab", "loss", 0), ("lab", "loss", 1), ("zoo", "accuracy", 0)}
    assert known(Namespace="zoo") == known(MetricName="accuracy") == {("zoo", "accuracy", 0)}
    assert known(Dimensions=[{"Name": "host"}]) == known(Dimensions=[host]) == {("lab", "loss", 1)}
    assert known(Dimensions=[{"Name": "host", "Value": "b"}]) == set()
    assert len(known(RecentlyActive="PT3H")) == 3
    clock.forward(3 * 3600)
    assert known(RecentlyActive="PT3H") == set()
    clock.forward(14 * 86400)
    assert known() == set()


@pytest.mark.usefixtures("at_start")
def test_metrics_come_in_pages(cloudwatch: Any) -> None:
    names = {f"m{number}" for number in range(1001)}
    for part in (sorted(names)[:600], sorted(names)[600:]):
        put(cloudwatch, *({"MetricName": name, "Value": 1.0, "Timestamp": when(0)} for name in part))
    pages = list(cloudwatch.get_paginator("list_metrics").paginate())
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 1]
    assert {entry["MetricName"] for page in pages for entry in page["Metrics"]} == names
    with pytest.raises(ClientError, match="nextToken"):
        cloudwatch.list_metrics(NextToken="x")


def test_ten_thousand_values_arrive_gzipped(cloudwatch: Any, at_start: float) -> None:
    sent: dict[str, Any] = {}
    cloudwatch.meta.events.register(
        "before-send.cloudwatch.PutMetricData", lambda request, **_: sent.update(request.headers)
    )
    put(cloudwatch, *({"Timestamp": at_start, "Values": [float(v) for v in range(150)]} for _ in range(70)))
    assert sent["Content-Encoding"] in {"gzip", b"gzip"}
    [point] = statistics(cloudwatch)
    assert (point["SampleCount"], point["Maximum"]) == (10500.0, 149.0)


def test_accounts_and_regions_do_not_meet(aws: Callable[..., Any], cloudwatch: Any, at_start: float) -> None:
    put(cloudwatch, {"Timestamp": at_start, "Value": 1.0})
    assert aws("cloudwatch", region="eu-west-1").list_metrics()["Metrics"] == []
    assert len(cloudwatch.list_metrics()["Metrics"]) == 1


def test_what_is_reserved_is_refused(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="AWS/EC2 for parameter Namespace is invalid"):
        put(cloudwatch, {"Value": 1.0}, namespace="AWS/EC2")
    with pytest.raises(ClientError, match="MetricData is required"):
        cloudwatch.put_metric_data(Namespace="lab")
