"""CloudWatch Logs: groups, streams and events, durable. Jobs write through `backends/core/logstore.py`.

Source: CloudWatch Logs API reference (2026-11). GetLogEvents gives stable tokens: at the end of a stream the page is
empty and the forward token is the one that was sent, which is how clients know that they have everything.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, or_, select, update

from backends.core import arn as arns
from backends.core import errors, logstore
from backends.core.operation import operation
from backends.core.tables import log_events, log_groups, log_streams

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.core.context import Context

MAX_EVENTS = 10_000
PAGE = 50
MOST = 2**63 - 1  # a long of AWS's, and an integer of both databases


@operation("CreateLogGroup", service="logs")
def create_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a group. ResourceAlreadyExistsException when it is there."""
    if _group(cx, request["logGroupName"]) is not None:
        raise _exists("The specified log group already exists")
    logstore.ensure_group(cx, request["logGroupName"])
    return {}


@operation("DeleteLogGroup", service="logs")
def delete_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group with its streams and events."""
    name = _existing_group(cx, request)
    streams = select(log_streams.c.id).where(_streams_of(cx, name))
    cx.db.execute(delete(log_events).where(log_events.c.stream_id.in_(streams)))
    cx.db.execute(delete(log_streams).where(_streams_of(cx, name)))
    cx.db.execute(delete(log_groups).where(_groups_of(cx), log_groups.c.name == name))
    return {}


@operation("DescribeLogGroups", service="logs")
def describe_log_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List groups by name, in pages."""
    query = select(log_groups).where(_groups_of(cx)).order_by(log_groups.c.name)
    if "logGroupNamePrefix" in request:
        query = query.where(log_groups.c.name.startswith(request["logGroupNamePrefix"], autoescape=True))
    if "logGroupNamePattern" in request:
        query = query.where(log_groups.c.name.contains(request["logGroupNamePattern"], autoescape=True))
    if "nextToken" in request:
        query = query.where(log_groups.c.name > request["nextToken"])
    size = request.get("limit", PAGE)
    rows = cx.db.execute(query.limit(size + 1)).all()
    answer: dict[str, Any] = {"logGroups": [_shown_group(cx, row) for row in rows[:size]]}
    if len(rows) > size:
        answer["nextToken"] = rows[size - 1].name
    return answer


@operation("PutRetentionPolicy", service="logs")
def put_retention_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a group's retention in days; events are not expired by it yet (see the ledger)."""
    return _set_retention(cx, request, request["retentionInDays"])


@operation("DeleteRetentionPolicy", service="logs")
def delete_retention_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a group's retention away."""
    return _set_retention(cx, request, None)


@operation("CreateLogStream", service="logs")
def create_log_stream(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a stream. ResourceAlreadyExistsException when it is there."""
    name = _existing_group(cx, request)
    if _stream(cx, name, request["logStreamName"]) is not None:
        raise _exists("The specified log stream already exists")
    logstore.ensure_stream(cx, name, request["logStreamName"])
    return {}


@operation("DeleteLogStream", service="logs")
def delete_log_stream(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a stream with its events."""
    stream = _existing_stream(cx, request)
    cx.db.execute(delete(log_events).where(log_events.c.stream_id == stream.id))
    cx.db.execute(delete(log_streams).where(log_streams.c.id == stream.id))
    return {}


@operation("DescribeLogStreams", service="logs")
def describe_log_streams(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a group's streams by name or by their last event, in pages."""
    name = _existing_group(cx, request)
    by_time = request.get("orderBy") == "LastEventTime"
    if by_time and "logStreamNamePrefix" in request:
        raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    query = select(log_streams).where(_streams_of(cx, name))
    if "logStreamNamePrefix" in request:
        query = query.where(log_streams.c.name.startswith(request["logStreamNamePrefix"], autoescape=True))
    column = log_streams.c.last_event_ms if by_time else log_streams.c.name
    order = column.desc() if request.get("descending") else column
    size, offset = request.get("limit", PAGE), _offset(request)
    rows = cx.db.execute(query.order_by(order, log_streams.c.id).limit(size + 1).offset(offset)).all()
    answer: dict[str, Any] = {"logStreams": [_shown_stream(cx, row) for row in rows[:size]]}
    if len(rows) > size:
        answer["nextToken"] = str(offset + size)
    return answer


@operation("PutLogEvents", service="logs")
def put_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add events to a stream. InvalidParameterException when they are not in the order of their times."""
    stream = _existing_stream(cx, request)
    lines = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
    if any(later[0] < earlier[0] for earlier, later in pairwise(lines)):
        raise _invalid("Log events in a single PutLogEvents request must be in chronological order.")
    logstore.append(cx, stream.id, lines)
    return {"nextSequenceToken": f"{stream.id:056d}"}


@operation("GetLogEvents", service="logs")
def get_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read a page of a stream, forwards or backwards from a token."""
    stream = _existing_stream(cx, request)
    given = _read_token(request.get("nextToken"))
    forward = given[0] == "f" if given is not None else request.get("startFromHead", False)
    conditions = [log_events.c.stream_id == stream.id, *_between(request)]
    if given is not None:
        conditions.append(_beyond(given[1], given[2], forward=forward))
    key = (log_events.c.timestamp_ms, log_events.c.id)
    order = key if forward else tuple(column.desc() for column in key)
    rows = list(
        cx.db.execute(select(log_events).where(*conditions).order_by(*order).limit(request.get("limit", MAX_EVENTS)))
    )
    if not forward:
        rows.reverse()
    first, last = (rows[0], rows[-1]) if rows else (None, None)
    here = given[1:] if given is not None else (request.get("startTime", 0), 0)
    return {
        "events": [_shown_event(row) for row in rows],
        "nextForwardToken": _write_token("f", (last.timestamp_ms, last.id) if last is not None else here),
        "nextBackwardToken": _write_token("b", (first.timestamp_ms, first.id) if first is not None else here),
    }


@operation("FilterLogEvents", service="logs")
def filter_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read events of several streams by time. Filter patterns are not built yet."""
    if request.get("filterPattern", "").strip():
        raise errors.not_implemented("logs:FilterLogEvents with a filterPattern")
    name = _existing_group(cx, request)
    query = select(log_events, log_streams.c.name.label("stream")).join_from(
        log_events, log_streams, log_events.c.stream_id == log_streams.c.id
    )
    query = query.where(_streams_of(cx, name), *_between(request))
    if request.get("logStreamNames"):
        query = query.where(log_streams.c.name.in_(request["logStreamNames"]))
    if "logStreamNamePrefix" in request:
        query = query.where(log_streams.c.name.startswith(request["logStreamNamePrefix"], autoescape=True))
    given = _read_token(request.get("nextToken"))
    if given is not None:
        query = query.where(_beyond(given[1], given[2], forward=True))
    size = request.get("limit", MAX_EVENTS)
    rows = cx.db.execute(query.order_by(log_events.c.timestamp_ms, log_events.c.id).limit(size + 1)).all()
    events = [_shown_event(row) | {"logStreamName": row.stream, "eventId": f"{row.id:056d}"} for row in rows[:size]]
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    if len(rows) > size:
        answer["nextToken"] = _write_token("f", (rows[size - 1].timestamp_ms, rows[size - 1].id))
    return answer


def _groups_of(cx: Context) -> ColumnElement[bool]:
    return and_(log_groups.c.account == cx.account, log_groups.c.region == cx.region)


def _streams_of(cx: Context, group: str) -> ColumnElement[bool]:
    mine = (log_streams.c.account == cx.account) & (log_streams.c.region == cx.region)
    return and_(mine, log_streams.c.group_name == group)


def _group(cx: Context, name: str) -> Any:
    return cx.db.execute(select(log_groups).where(_groups_of(cx), log_groups.c.name == name)).first()


def _stream(cx: Context, group: str, name: str) -> Any:
    return cx.db.execute(select(log_streams).where(_streams_of(cx, group), log_streams.c.name == name)).first()


def _existing_group(cx: Context, request: dict[str, Any]) -> str:
    identifier = request.get("logGroupName") or request.get("logGroupIdentifier", "")
    parsed = arns.parse(identifier)
    name = parsed.resource.removeprefix("log-group:").removesuffix(":*") if parsed is not None else identifier
    if _group(cx, name) is None:
        raise _missing("The specified log group does not exist.")
    return name


def _existing_stream(cx: Context, request: dict[str, Any]) -> Any:
    found = _stream(cx, _existing_group(cx, request), request["logStreamName"])
    if found is None:
        raise _missing("The specified log stream does not exist.")
    return found


def _set_retention(cx: Context, request: dict[str, Any], days: int | None) -> dict[str, Any]:
    name = _existing_group(cx, request)
    cx.db.execute(update(log_groups).where(_groups_of(cx), log_groups.c.name == name), {"retention_days": days})
    return {}


def _between(request: dict[str, Any]) -> list[ColumnElement[bool]]:
    found = []
    if "startTime" in request:
        found.append(log_events.c.timestamp_ms >= request["startTime"])
    if "endTime" in request:
        found.append(log_events.c.timestamp_ms < request["endTime"])
    return found


def _beyond(at_ms: int, row_id: int, *, forward: bool) -> ColumnElement[bool]:
    time, number = log_events.c.timestamp_ms, log_events.c.id
    if forward:
        return or_(time > at_ms, and_(time == at_ms, number > row_id))
    return or_(time < at_ms, and_(time == at_ms, number < row_id))


def _write_token(direction: str, mark: tuple[int, int]) -> str:
    return f"{direction}/{mark[0]:020d}{mark[1]:016d}/s"


def _read_token(token: str | None) -> tuple[str, int, int] | None:
    if token is None:
        return None
    direction, _, rest = token.partition("/")
    digits = rest.removesuffix("/s")
    if direction not in {"f", "b"} or len(digits) != 36:
        raise _invalid("The specified nextToken is invalid.")
    return direction, _number(digits[:20]), _number(digits[20:])


def _offset(request: dict[str, Any]) -> int:
    return _number(request.get("nextToken", "0"))


def _number(digits: str) -> int:
    """Read a number of a token; InvalidParameterException for what is none, or none that the database takes."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and int(digits) <= MOST):
        raise _invalid("The specified nextToken is invalid.")
    return int(digits)


def _shown_group(cx: Context, row: Any) -> dict[str, Any]:
    arn = arns.make("logs", cx.region, cx.account, f"log-group:{row.name}")
    shown = {
        "logGroupName": row.name,
        "creationTime": int(row.created * 1000),
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
    }
    return shown | ({"retentionInDays": row.retention_days} if row.retention_days is not None else {})


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


def _shown_event(row: Any) -> dict[str, Any]:
    return {"timestamp": row.timestamp_ms, "message": row.message, "ingestionTime": row.ingestion_ms}


def _missing(message: str) -> errors.AwsError:
    return errors.AwsError("ResourceNotFoundException", message)


def _exists(message: str) -> errors.AwsError:
    return errors.AwsError("ResourceAlreadyExistsException", message)


def _invalid(message: str) -> errors.AwsError:
    return errors.AwsError("InvalidParameterException", message)
