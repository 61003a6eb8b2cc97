"""GetMetricStatistics and GetMetricData, on a thread of their own: a range can hold many points.

Source: CloudWatch API reference. Unverified: that periods are counted from the (rounded) start time of the request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.cloudwatch import points, queries, refusals, statistics
from backends.aws.cloudwatch.series import MAX_STEPS
from backends.core import paging
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.aws.cloudwatch.series import Series
    from backends.core.context import Context

MAX_DATAPOINTS = 1440


@operation("GetMetricStatistics", service="cloudwatch")
async def get_metric_statistics(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return one metric's periods, each unit's for themselves."""
    _check_statistics(request)
    return await asyncio.to_thread(cx.look, lambda inside: _statistics(inside, request))


def _check_statistics(request: dict[str, Any]) -> None:
    plain, extended = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if bool(plain) == bool(extended):
        raise refusals.combination("Must specify either Statistics or ExtendedStatistics")
    for number, name in enumerate(extended, 1):
        if name in statistics.PLAIN or statistics.reader(name) is None:
            raise refusals.value(f"The value {name} for parameter ExtendedStatistics.member.{number} is not supported.")
    points.check_period(request["Period"], "Period")
    _check_range(request)
    wanted = -(-(request["EndTime"] - request["StartTime"]) // request["Period"])
    if wanted > MAX_DATAPOINTS:
        raise refusals.combination(
            f"You have requested up to {int(wanted):,} datapoints, which exceeds the limit of {MAX_DATAPOINTS:,}. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range."
        )


def _check_range(request: dict[str, Any]) -> None:
    if request["StartTime"] >= request["EndTime"]:
        raise refusals.value("The parameter StartTime must be less than the parameter EndTime.")


def _statistics(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    dimensions = refusals.dimensions(request.get("Dimensions", []))
    metric = points.Metric(request["Namespace"], request["MetricName"], dimensions, request.get("Unit"))
    period = request["Period"]
    start = points.rounded(request["StartTime"], period, cx.clock.now())
    by_unit = points.read(cx, metric, start, request["EndTime"], period)
    datapoints = [
        {"Timestamp": at, "Unit": unit} | shown
        for unit, periods in by_unit.items()
        for at, of_period in periods.items()
        if (shown := _datapoint(of_period, request))
    ]
    datapoints.sort(key=lambda point: (point["Timestamp"], point["Unit"]))
    return {"Label": request["MetricName"], "Datapoints": datapoints}


def _datapoint(period: statistics.Period, request: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: statistics.plain(name, period) for name in request.get("Statistics", [])}
    extended = {}
    for name in request.get("ExtendedStatistics", []):
        read = statistics.reader(name)
        assert read is not None
        value = read(period)
        if value is not None:
            extended[name] = value
    return shown | ({"ExtendedStatistics": extended} if extended else {})


@operation("GetMetricData", service="cloudwatch")
async def get_metric_data(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return metrics and expressions over them, in pages of MaxDatapoints."""
    queries.check(cx, request["MetricDataQueries"])
    if request["StartTime"] >= request["EndTime"]:
        raise refusals.validation("The parameter StartTime must be less than the parameter EndTime.")
    return await asyncio.to_thread(cx.look, lambda inside: _data(inside, request))


def _data(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    binding = b"GetMetricData" + orjson.dumps({k: v for k, v in request.items() if k != "NextToken"})
    begin = refusals.read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else 0
    requested = request["MetricDataQueries"]
    computed = queries.compute(cx, requested, request["StartTime"], request["EndTime"])
    results = []
    for query in requested:
        if query.get("ReturnData", True):
            computed_series = computed[query["Id"]]
            results += [
                _shown(query, series, computed_series)
                for series in (computed_series if isinstance(computed_series, list) else [computed_series])
            ]
    if request.get("ScanBy") != "TimestampAscending":
        for result in results:
            result["Timestamps"].reverse()
            result["Values"].reverse()
    end = begin + min(request.get("MaxDatapoints", MAX_STEPS), MAX_STEPS)
    answer: dict[str, Any] = {"MetricDataResults": _cut(results, begin, end), "Messages": []}
    if end < sum(len(result["Values"]) for result in results):
        answer["NextToken"] = paging.write_token(cx, [end], binding)
    return answer


def _shown(query: dict[str, Any], series: Series, result: Any) -> dict[str, Any]:
    label = query.get("Label", query["Id"])
    if "MetricStat" in query:
        label = series.label
    elif isinstance(result, list):  # as the console names the lines of one expression
        label = f"{label} {series.label}".strip()
    ordered = sorted(series.points.items())
    return {
        "Id": query["Id"],
        "Label": label,
        "Timestamps": [at for at, _ in ordered],
        "Values": [value for _, value in ordered],
        "StatusCode": "Complete",
    }


def _cut(results: list[dict[str, Any]], begin: int, end: int) -> list[dict[str, Any]]:
    """Return the data points from `begin` up to `end`, counted through all results; a cut result says PartialData."""
    kept, passed = [], 0
    for result in results:
        size = len(result["Values"])
        first, last = max(begin - passed, 0), min(end - passed, size)
        if first < last or (size == 0 and begin <= passed < end):
            cut = {name: result[name][first:last] for name in ("Timestamps", "Values")}
            kept.append(result | cut | ({"StatusCode": "PartialData"} if last < size else {}))
        passed += size
    return kept
