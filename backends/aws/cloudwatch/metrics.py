"""Metric data in, and the list of metrics out.

Limits and sentences: CloudWatch API reference, PutMetricData and ListMetrics; user guide, "Publish custom metrics".
"""

from __future__ import annotations

import asyncio
import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, select, tuple_

from backends.aws.cloudwatch import refusals, retention
from backends.core import metricstore, paging
from backends.core.loops import every
from backends.core.operation import operation
from backends.core.tables import metric_points

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context
    from backends.core.kernel import Kernel

MAX_METRICS = 1000
MAX_VALUES = 150
LARGEST = 2.0**360
TWO_WEEKS_S, TWO_HOURS_S, THREE_HOURS_S = 14 * 86400, 7200, 10800
KEPT_S = 455 * 86400
PAGE = 500


@operation("PutMetricData", service="cloudwatch")
def put_metric_data(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store points: one value, values with counts, or a statistic set."""
    namespace = request["Namespace"]
    if namespace.startswith("AWS/"):
        raise refusals.value(f"The value {namespace} for parameter Namespace is invalid.")
    entities = [entry.get("MetricData", []) for entry in request.get("EntityMetricData", [])]
    data = [*request.get("MetricData", []), *chain.from_iterable(entities)]
    if not data:
        raise refusals.missing("The parameter MetricData is required.")
    if len(data) > MAX_METRICS:
        raise refusals.value(f"The collection MetricData must not have a size greater than {MAX_METRICS}.")
    store(cx, namespace, data)
    return {}


def store(cx: Context, namespace: str, data: list[dict[str, Any]]) -> None:
    """Check and store data of any namespace; nothing of it is stored when one is refused."""
    read = [
        (refusals.dimensions(datum.get("Dimensions", [])), _points(cx, datum, f"MetricData.member.{number}"))
        for number, datum in enumerate(data, 1)
    ]
    for dimensions, points in read:
        metricstore.append(cx, namespace, dimensions, points)


def _points(cx: Context, datum: dict[str, Any], where: str) -> list[dict[str, Any]]:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) > 1:
        raise refusals.combination(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and you have specified both."
        )
    if not given:
        raise refusals.missing(f"The parameter {where}.Value is required.")
    if datum.get("StorageResolution", 60) not in {1, 60}:
        raise refusals.value(f"The parameter {where}.StorageResolution must be 1 or 60.")  # Unverified: wording
    base = {"name": datum["MetricName"], "time": _time(cx, datum, where), "unit": datum.get("Unit", "None")}
    if given[0] == "StatisticValues":
        return [base | _set(datum["StatisticValues"], f"{where}.StatisticValues")]
    values = datum.get("Values", [datum.get("Value")])
    counts = datum.get("Counts", [1.0] * len(values))
    if len(values) > MAX_VALUES:
        raise refusals.value(f"The collection {where}.Values must not have a size greater than {MAX_VALUES}.")
    if len(values) != len(counts):
        raise refusals.value(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    for value in values:
        _check(value, f"{where}.{given[0]}")
    for count in counts:
        if not (math.isfinite(count) and count >= 0):
            raise refusals.value(f"The value {_shown(count)} for parameter {where}.Counts is invalid.")
    return [base | {"value": v, "samples": c} for v, c in zip(values, counts, strict=True) if c]


def _set(values: dict[str, float], where: str) -> dict[str, Any]:
    for name, value in values.items():
        _check(value, f"{where}.{name}")
    samples, total, low, high = (values[name] for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    if samples <= 0:
        raise refusals.value(f"The value {_shown(samples)} for parameter {where}.SampleCount is invalid.")
    if low > high:
        raise refusals.value(f"The parameter {where}.Maximum must be greater than or equal to {where}.Minimum.")
    if low == high and total == low * samples:  # as good as raw data: percentiles can be read from it
        return {"value": low, "samples": samples}
    return {"value": total / samples, "samples": samples, "total": total, "minimum": low, "maximum": high}


def _check(value: float, where: str) -> None:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise refusals.value(f"The value {_shown(value)} for parameter {where} is invalid.")


def _shown(value: float) -> str:
    return "NaN" if math.isnan(value) else str(value).replace("inf", "Infinity")


def _time(cx: Context, datum: dict[str, Any], where: str) -> float:
    now = cx.clock.now()
    at = float(datum.get("Timestamp", now))
    if at < now - TWO_WEEKS_S:
        raise refusals.value(f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past.")
    if at > now + TWO_HOURS_S:
        raise refusals.value(f"The parameter {where}.Timestamp must specify a time within two hours in the future.")
    return at


@operation("ListMetrics", service="cloudwatch")
async def list_metrics(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the metrics that had points in the last two weeks (RecentlyActive: three hours), 500 a page."""
    return await asyncio.to_thread(cx.look, lambda inside: _page(inside, request))


def _page(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    wanted = [(entry["Name"], entry.get("Value")) for entry in request.get("Dimensions", [])]
    binding = b"ListMetrics" + orjson.dumps({k: v for k, v in request.items() if k != "NextToken"})
    mark = refusals.read_token(cx, request["NextToken"], binding) if "NextToken" in request else None
    metrics: list[dict[str, Any]] = []
    for namespace, name, dimensions in walk(cx, request, mark):
        have = orjson.loads(dimensions)
        if all(key in have and value in {None, have[key]} for key, value in wanted):
            if len(metrics) == PAGE:
                last = [metrics[-1]["Namespace"], metrics[-1]["MetricName"], _key(metrics[-1]["Dimensions"])]
                return {"Metrics": metrics, "NextToken": paging.write_token(cx, last, binding)}
            shown = [{"Name": key, "Value": value} for key, value in have.items()]
            metrics.append({"Namespace": namespace, "MetricName": name, "Dimensions": shown})
    return {"Metrics": metrics}


def _key(shown: list[dict[str, str]]) -> str:
    return metricstore.key_of({entry["Name"]: entry["Value"] for entry in shown})


def walk(cx: Context, request: dict[str, Any], mark: list[str] | None = None) -> Iterator[tuple[str, str, str]]:
    """Walk a ListMetrics request's metrics by index, one seek for each however many points it has."""
    table = metric_points.c
    since = cx.clock.now() - (THREE_HOURS_S if "RecentlyActive" in request else TWO_WEEKS_S)
    conditions = [table.account == cx.account, table.region == cx.region]
    if "Namespace" in request:
        conditions.append(table.namespace == request["Namespace"])
    if "MetricName" in request:
        conditions.append(table.name == request["MetricName"])
    key = (table.namespace, table.name, table.dimensions)
    while True:
        query = select(*key).where(*conditions).order_by(*key).limit(1)
        if mark is not None:
            query = query.where(tuple_(*key) > tuple_(*mark))
        row = cx.db.execute(query).first()
        if row is None:
            return
        mark = list(row)
        same = [column == value for column, value in zip(key, mark, strict=True)]
        newest = cx.db.execute(select(func.max(table.time)).where(*conditions, *same)).scalar_one()
        if newest >= since:
            yield row.namespace, row.name, row.dimensions


@every(3600.0)
def forget_old_points(kernel: Kernel) -> None:
    """Delete what is older than CloudWatch keeps anything, 455 days, on each account's own clock."""
    retention.forget_old(kernel, metric_points, KEPT_S)
