"""Points to periods: what GetMetricStatistics, GetMetricData and alarms all read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from backends.aws.cloudwatch import refusals
from backends.aws.cloudwatch.statistics import Period
from backends.core import metricstore
from backends.core.tables import metric_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})
DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Metric:
    """Which points: a metric, and the unit they were put in (None: any)."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    unit: str | None = None


def is_period(period: int) -> bool:
    """Return whether this is a period: 1, 5, 10, 20, 30 or a multiple of 60 seconds."""
    return period in SHORT_PERIODS or (period > 0 and period % 60 == 0)


def check_period(period: int, where: str) -> None:
    """Refuse a period that is neither 1, 5, 10, 20, 30 nor a multiple of 60 seconds."""
    if not is_period(period):
        raise refusals.value(
            f"The parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60."
        )  # Unverified: wording


def rounded(start: float, period: int, now: float) -> float:
    """Round a start time down as AWS does (GetMetricData): to a short period, a minute; 5 min and 1 h for older times."""
    if period in SHORT_PERIODS:
        unit = period
    else:
        unit = 60 if start > now - 15 * DAY_S else 300 if start > now - 63 * DAY_S else 3600
    return start // unit * unit


def read(cx: Context, metric: Metric, start: float, end: float, period: int) -> dict[str, dict[float, Period]]:
    """Return the periods from `start` on, by unit and by the time at which each begins."""
    table = metric_points.c
    query = select(table.time, table.unit, table.value, table.samples, table.total, table.minimum, table.maximum).where(
        table.account == cx.account,
        table.region == cx.region,
        table.namespace == metric.namespace,
        table.name == metric.name,
        table.dimensions == metricstore.key_of(metric.dimensions),
        table.time >= start,
        table.time < end,
    )
    if metric.unit is not None:
        query = query.where(table.unit == metric.unit)
    periods: dict[str, dict[float, Period]] = {}
    for at, unit, *point in cx.db.execute(query):
        begins = start + (at - start) // period * period
        periods.setdefault(unit, {}).setdefault(begins, Period()).add(*point)
    return periods


def series(cx: Context, metric: Metric, start: float, end: float, period: int) -> dict[float, Period]:
    """Return the periods of all units together."""
    merged: dict[float, Period] = {}
    for periods in read(cx, metric, start, end, period).values():
        for begins, period_found in periods.items():
            if begins in merged:
                merged[begins].merge(period_found)
            else:
                merged[begins] = period_found
    return merged
