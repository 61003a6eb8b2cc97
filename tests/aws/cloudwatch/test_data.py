"""GetMetricData: metrics, expressions over them, pages; in each of the three protocols."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from backends.aws.cloudwatch import grammar, mathematics
from backends.aws.cloudwatch.series import Scope, Series
from backends.core.errors import AwsError
from tests.aws.conftest import START

if TYPE_CHECKING:
    from tests.conftest import LiveServer

ROWS = {"one": [1, 2, 3, 4, None], "two": [30, None, 20, 0, None]}


def when(offset_s: float) -> datetime:
    return datetime.fromtimestamp(START + offset_s, UTC)


def stat(name: str, statistic: str = "Sum", period: int = 60) -> dict[str, Any]:
    return {"Metric": {"Namespace": "lab", "MetricName": name}, "Period": period, "Stat": statistic}


METRICS: list[dict[str, Any]] = [
    {"Id": "m1", "MetricStat": stat("one")},
    {"Id": "m2", "MetricStat": stat("two"), "ReturnData": False},
]


@pytest.fixture
def filled(cloudwatch: Any, at_start: float) -> Any:
    """Return a client of an account that has two metrics, one value a minute."""
    data = [
        {"MetricName": name, "Timestamp": datetime.fromtimestamp(at_start + 60 * minute, UTC), "Value": float(value)}
        for name, row in ROWS.items()
        for minute, value in enumerate(row)
        if value is not None
    ]
    cloudwatch.put_metric_data(Namespace="lab", MetricData=data)
    return cloudwatch


def send(client: Any, *queries: dict[str, Any], **given: Any) -> list[dict[str, Any]]:
    requested = {"StartTime": when(0), "EndTime": when(300), "ScanBy": "TimestampAscending"} | given
    results: list[dict[str, Any]] = client.get_metric_data(MetricDataQueries=[*queries], **requested)[
        "MetricDataResults"
    ]
    return results


def test_metrics_and_expressions_stand_together(filled: Any) -> None:
    results = send(
        filled,
        *METRICS,
        {"Id": "later", "Expression": "ratio * 100", "Label": "percent"},
        {"Id": "ratio", "Expression": "m1 / m2", "ReturnData": False},
        {"Id": "all", "Expression": "METRICS() * 2", "Label": "twice"},
    )
    assert [(r["Id"], r["Label"], r["Values"]) for r in results] == [
        ("m1", "one", [1.0, 2.0, 3.0, 4.0]),
        ("later", "percent", [100 / 30, 15.0]),
        ("all", "twice one", [2.0, 4.0, 6.0, 8.0]),
        ("all", "twice two", [60.0, 40.0, 0.0]),
    ]
    assert results[1]["Timestamps"] == [when(0), when(120)]
    assert {result["StatusCode"] for result in results} == {"Complete"}


def test_the_newest_comes_first_unless_asked(filled: Any) -> None:
    answer = filled.get_metric_data(MetricDataQueries=METRICS, StartTime=when(0), EndTime=when(300))
    [result] = answer["MetricDataResults"]
    assert (result["Timestamps"][0], result["Values"]) == (when(180), [4.0, 3.0, 2.0, 1.0])


def test_pages_hold_every_point_once(filled: Any) -> None:
    requested = {"StartTime": when(0), "EndTime": when(300), "ScanBy": "TimestampAscending", "MaxDatapoints": 3}
    both = [METRICS[0], METRICS[1] | {"ReturnData": True}]
    pages = list(filled.get_paginator("get_metric_data").paginate(MetricDataQueries=both, **requested))
    results = [result for page in pages for result in page["MetricDataResults"]]
    assert [sum(len(r["Values"]) for r in page["MetricDataResults"]) for page in pages] == [3, 3, 1]
    assert [v for r in results if r["Id"] == "m1" for v in r["Values"]] == [1.0, 2.0, 3.0, 4.0]
    assert [v for r in results if r["Id"] == "m2" for v in r["Values"]] == [30.0, 20.0, 0.0]
    assert [r["StatusCode"] for r in results] == ["PartialData", "Complete", "PartialData", "Complete"]
    with pytest.raises(ClientError, match="nextToken") as caught:
        filled.get_metric_data(MetricDataQueries=METRICS, NextToken=pages[0]["NextToken"], **requested)
    assert caught.value.response["Error"]["Code"] == "InvalidNextToken"


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        ([{"Id": "M1", "MetricStat": stat("one")}], "not matching the expected pattern"),
        ([{"Id": "m1", "MetricStat": stat("one")}] * 2, "must be unique"),
        ([{"Id": "m1"}], "must be specified"),
        ([{"Id": "m1", "MetricStat": stat("one"), "Expression": "1"}], "must be specified"),
        ([{"Id": "m1", "MetricStat": stat("one", "Middle")}], "The value Middle"),
        ([{"Id": "e1", "Expression": "m9"}], "'e1': The expression uses m9"),
        ([{"Id": "e1", "Expression": "e2"}, {"Id": "e2", "Expression": "e1"}], "in a circle"),
        ([{"Id": "e1", "Expression": "1 + 1"}], "must be a time series"),
        ([{"Id": "e1", "Expression": "SEARCH('{', 'Sum', 60)"}], "Invalid search expression"),
        ([{"Id": "e1", "Expression": "SEARCH('x', 'Most', 60)"}], "The value Most"),
        ([{"Id": "e1", "Expression": "SEARCH('x', 'Sum', 7)"}], "multiple of 60"),
        (
            [{"Id": "e1", "Expression": "ANOMALY_DETECTION_BAND(e2)"}, {"Id": "e2", "Expression": "TIME_SERIES(1)"}],
            "ANOMALY",
        ),
        ([{"Id": "e1", "Expression": "SELECT AVG(x) FROM y"}], "SELECT"),
        ([{"Id": "e1", "Expression": "TIME_SERIES(1"}], "Invalid syntax"),
        ([{"Id": f"m{n}", "MetricStat": stat("one")} for n in range(501)], "greater than 500"),
    ],
)
def test_bad_queries_are_validation_errors(cloudwatch: Any, queries: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence) as caught:
        send(cloudwatch, *queries)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_metrics_are_searched(cloudwatch: Any, at_start: float) -> None:
    at = datetime.fromtimestamp(at_start, UTC)
    for name, host, value in (("trainLoss", "a", 1.0), ("trainLoss", "b", 2.0), ("testLoss", "a", 4.0)):
        datum = {"MetricName": name, "Timestamp": at, "Value": value, "Dimensions": [{"Name": "host", "Value": host}]}
        cloudwatch.put_metric_data(Namespace="lab/one", MetricData=[datum])
    cloudwatch.put_metric_data(
        Namespace="lab/one", MetricData=[{"MetricName": "trainLoss", "Timestamp": at, "Value": 8.0}]
    )

    def searched(text: str) -> dict[str, float]:
        results = send(cloudwatch, {"Id": "e1", "Expression": f"SEARCH('{text}', 'Sum', 60)", "Label": ""})
        return {result["Label"]: result["Values"][0] for result in results}

    assert searched("{lab/one,host} loss") == {"a trainLoss": 1.0, "b trainLoss": 2.0, "a testLoss": 4.0}
    assert searched("train") == {"a trainLoss": 1.0, "b trainLoss": 2.0, "trainLoss": 8.0}
    assert searched('host="a" NOT MetricName="testLoss"') == {"a trainLoss": 1.0}
    assert searched('MetricName="testLoss" OR (host=b AND train)') == {"a testLoss": 4.0, "b trainLoss": 2.0}
    assert searched("{lab/one}") == {"trainLoss": 8.0}
    assert searched('"Loss"') == {}
    [total] = send(cloudwatch, {"Id": "e1", "Expression": "SUM(SEARCH('{lab/one,host} train', 'Sum', 60))"})
    assert total["Values"] == [3.0]


def test_a_range_of_too_many_periods_is_refused(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="more than 100,800 periods"):
        send(cloudwatch, {"Id": "e1", "Expression": "TIME_SERIES(1)"}, StartTime=datetime(1970, 1, 1, tzinfo=UTC))


def test_what_is_not_built_says_so(cloudwatch: Any) -> None:
    for query in ({"Label": "${MAX}"}, {"AccountId": "999999999999"}):
        with pytest.raises(ClientError) as caught:
            send(cloudwatch, {"Id": "m1", "MetricStat": stat("one")} | query)
        assert caught.value.response["Error"]["Code"] == "NotImplemented"


def _series(*values: float | None) -> Series:
    return Series({60.0 * n: float(v) for n, v in enumerate(values) if v is not None}, 60, "x")


KNOWN = {
    "m1": _series(1, 2, 3, 4),
    "m2": _series(30, None, 20, 0),
    "a": _series(30, 20, 0, 0),
    "b": _series(20, None, 20, None),
    "if1": _series(1, 1, 0, 0, None),
    "if2": _series(30, None, 0, 0, 30),
    "if3": _series(0, 0, 20, None, 20),
}
SCOPE = Scope(0.0, 300.0, 60, KNOWN, frozenset({"m1", "m2"}))


# The rows about a, b and if1..if3 are the examples of the user guide's page on metric math.
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < b", [0, 0, 1, 0]), ("a >= 30", [1, 0, 0, 0]), ("a > 15 AND b > 15", [1, 0, 0, 0]),
        ("IF(if1, if2, if3)", [30, 0, 20]), ("IF(if1, 5, if3)", [5, 5, 20]), ("IF(if1, if2, 5)", [30, 0, 5, 5]),
        ("IF(m1 > 2, m1)", [3, 4]), ("IF(1, m1)", [1, 2, 3, 4]), ("IF(0, m1)", []), ("IF(m1 == 4 || m1 < 2, 1, 0)", [1, 0, 0, 1]),
        ("m1 + m2", [31, 2, 23, 4]), ("100 / m2", [100 / 30, 5]), ("-m1 ^ 2", [-1, -4, -9, -16]), ("2 ^ 3 ^ 0 * m1", [2, 4, 6, 8]),
        ("SUM([m1, m2])", [31, 2, 23, 4]), ("AVG(METRICS())", [15.5, 1, 11.5, 2]), ("MAX(METRICS('m'))", [30, 2, 20, 4]),
        ("MIN(ABS([-m1, m2]))", [1, 2, 3, 0]), ("STDDEV([m1, m1])", [0, 0, 0, 0]), ("m1 - AVG(m1)", [-1.5, -0.5, 0.5, 1.5]),
        ("m1 / SUM(m1) * DATAPOINT_COUNT(m2)", [0.3, 0.6, 0.9, 1.2]), ("m1 * METRIC_COUNT(METRICS())", [2, 4, 6, 8]),
        ("FILL(m2, 9)", [30, 9, 20, 0, 9]), ("FILL(m2, REPEAT)", [30, 30, 20, 0, 0]), ("FILL(m2, LINEAR)", [30, 25, 20, 0]),
        ("FILL(m2, m1)", [30, 2, 20, 0]), ("FILL(m2, MIN(m1))", [30, 1, 20, 0, 1]),
        ("RATE(m2)", [-10 / 120, -20 / 60]), ("DIFF(m2)", [-10, -20]), ("DIFF_TIME(m2)", [120, 60]), ("RUNNING_SUM(m1)", [1, 3, 6, 10]),
        ("CEIL(m1 / 2)", [1, 1, 2, 2]), ("FLOOR(m1 / 2)", [0, 1, 1, 2]), ("LOG10(m2)", [pytest.approx(1.4771212), pytest.approx(1.30103)]),
        ("m1 / PERIOD(m1)", [1 / 60, 2 / 60, 3 / 60, 4 / 60]), ("TIME_SERIES(MAX(m1))", [4, 4, 4, 4, 4]), ("MINUTE(m1)", [0, 1, 2, 3, 4]),
        ("DAY(m1)", [4] * 5), ("YEAR(m2)", [1970] * 5), ("FIRST(SORT(METRICS(), AVG, DESC))", [30, 20, 0]),
        ("LAST(SORT([m1, m2], MAX, DESC))", [1, 2, 3, 4]), ("FIRST(SLICE([m1, m2], 1))", [30, 20, 0]),
        ("SUM(REMOVE_EMPTY([m1, IF(0, m1)]))", [1, 2, 3, 4]), ("(" * 500 + "m1" + ")" * 500, [1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_what_expressions_give(expression: str, expected: list[float]) -> None:
    series = mathematics.result(grammar.parse(expression), SCOPE)
    assert isinstance(series, Series)
    assert [value for _, value in sorted(series.points.items())] == pytest.approx(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "", "m1 +", "m1 m2", "AVG(m1)", "5", "FOO(m1)", "avg(m1)", "ABS()", "ABS(m1, m2)", "FILL(m1)", "1 / 0 * m1",
        "SORT(METRICS(), MEDIAN, ASC)", "'text' + m1", "METRICS(1)", "FIRST([IF(0, m1)]) + LAST(REMOVE_EMPTY([IF(0, m1)]))",
        "10 ^ 400 * m1", "-" * 400 + "m1", "TIME_SERIES(m1)", "RATE(5)", "m1 ^ 'x'", "AND", "[1]",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_a_validation_error(expression: str) -> None:
    with pytest.raises(AwsError) as caught:
        mathematics.result(grammar.parse(expression), SCOPE)
    assert caught.value.code == "ValidationException"


def test_older_clients_get_the_same_in_json_and_query(filled: Any, server: LiveServer, account: str) -> None:
    assert filled.meta.service_model.metadata["protocol"] == "smithy-rpc-v2-cbor"
    scope = f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
    requested = {"Namespace": "lab", "MetricName": "one", "StartTime": START, "EndTime": START + 120, "Period": 60}
    headers = {"Authorization": scope, "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricStatistics"}
    headers["Content-Type"] = "application/x-amz-json-1.0"
    body = json.dumps(requested | {"Statistics": ["Sum"]}).encode()
    with urllib.request.urlopen(urllib.request.Request(server.url, body, headers), timeout=10) as answer:
        points = json.loads(answer.read())["Datapoints"]
    assert points == [{"Timestamp": START + 60 * n, "Unit": "None", "Sum": n + 1.0} for n in range(2)]
    times = {"StartTime": when(0).isoformat(), "EndTime": when(120).isoformat(), "Version": "2010-08-01"}
    form = urllib.parse.urlencode(requested | times | {"Action": "GetMetricStatistics", "Statistics.member.1": "Sum"})
    for given in ({"Authorization": scope}, {}):
        if not given:
            form = form.replace("lab", "none")  # unsigned: the default account, which has no such metric
        with urllib.request.urlopen(urllib.request.Request(server.url, form.encode(), given), timeout=10) as answer:
            tree = ET.fromstring(answer.read())
        space = {"a": "http://monitoring.amazonaws.com/doc/2010-08-01/"}
        sums = [node.text for node in tree.findall(".//a:Datapoints/a:member/a:Sum", space)]
        assert sums == (["1.0", "2.0"] if given else [])
