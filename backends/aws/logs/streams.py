"""Log streams. Source: CloudWatch Logs API reference (2026-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from backends.aws.logs import filters, scope
from backends.core import arn as arns
from backends.core import logstore
from backends.core.dialects import begins
from backends.core.operation import operation
from backends.core.tables import log_events, log_streams

if TYPE_CHECKING:
    from backends.core.context import Context

PAGE = 50


@operation("CreateLogStream", service="logs")
def create_log_stream(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a stream. ResourceAlreadyExistsException when it is there."""
    name = scope.existing_group(cx, request)
    if scope.stream(cx, name, request["logStreamName"]) is not None:
        raise scope.exists("The specified log stream already exists")
    logstore.ensure_stream(cx, name, request["logStreamName"])
    return {}


@operation("DeleteLogStream", service="logs")
def delete_log_stream(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a stream with its events."""
    stream = scope.existing_stream(cx, request)
    cx.db.execute(delete(log_events).where(log_events.c.stream_id == stream.id))
    cx.db.execute(delete(log_streams).where(log_streams.c.id == stream.id))
    filters.rewind(cx)
    return {}


@operation("DescribeLogStreams", service="logs")
def describe_log_streams(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a group's streams by name or by their last event, in pages."""
    name = scope.existing_group(cx, request)
    by_time = request.get("orderBy") == "LastEventTime"
    if by_time and "logStreamNamePrefix" in request:
        raise scope.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    query = select(log_streams).where(scope.streams_of(cx, name))
    if "logStreamNamePrefix" in request:
        query = query.where(begins(log_streams.c.name, request["logStreamNamePrefix"]))
    column = log_streams.c.last_event_ms if by_time else log_streams.c.name
    order = column.desc() if request.get("descending") else column
    size, offset = request.get("limit", PAGE), _offset(request)
    rows = cx.db.execute(query.order_by(order, log_streams.c.id).limit(size + 1).offset(offset)).all()
    answer: dict[str, Any] = {"logStreams": [_shown_stream(cx, row) for row in rows[:size]]}
    if len(rows) > size:
        answer["nextToken"] = str(offset + size)
    return answer


def _offset(request: dict[str, Any]) -> int:
    return scope.number(request.get("nextToken", "0"))


def _shown_stream(cx: Context, row: Any) -> dict[str, Any]:
    shown = {
        "logStreamName": row.name,
        "creationTime": int(row.created * 1000),
        "arn": arns.make("logs", cx.region, cx.account, f"log-group:{row.group_name}:log-stream:{row.name}"),
        "storedBytes": 0,  # CloudWatch Logs itself reports 0 for streams since 2019-06-17
    }
    times = {
        "firstEventTimestamp": row.first_event_ms,
        "lastEventTimestamp": row.last_event_ms,
        "lastIngestionTime": row.last_ingestion_ms,
    }
    return shown | {name: value for name, value in times.items() if value is not None}
