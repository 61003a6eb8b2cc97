"""Where CloudWatch's points are kept; jobs and metric data write here, `backends/aws/cloudwatch` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import insert

from backends.core.tables import metric_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.core.context import Context

PLAIN = {"unit": "None", "samples": 1.0, "total": None, "minimum": None, "maximum": None}


def key_of(dimensions: Mapping[str, str]) -> str:
    """Write dimensions as the column has them: a metric is its namespace, its name and exactly these."""
    return orjson.dumps(dimensions, option=orjson.OPT_SORT_KEYS).decode()


def append(cx: Context, namespace: str, dimensions: Mapping[str, str], points: Sequence[Mapping[str, Any]]) -> None:
    """Add points, each with at least its time (epoch seconds), name and value; see the table for the other columns."""
    base = {"account": cx.account, "region": cx.region, "namespace": namespace, "dimensions": key_of(dimensions)}
    if points:
        cx.db.execute(insert(metric_points), [{**base, **PLAIN, **point} for point in points])
