"""Log events: put, read by stream, found in a group.

Source: CloudWatch Logs API reference (2026-11). GetLogEvents gives stable tokens: at the end of a stream the page is
empty and the forward token is the one that was sent, which is how clients know that they have everything.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from backends.aws.logs import pattern, scope
from backends.core import logstore
from backends.core.dialects import begins
from backends.core.operation import operation
from backends.core.tables import log_events, log_groups, log_streams

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from backends.core.context import Context

MAX_EVENTS = 10_000
DAY_MS = 86_400_000
TOO_OLD_MS, TOO_NEW_MS = 14 * DAY_MS, 2 * 3_600_000
SCANNED = 20_000
"""Events that one call looks through for a pattern; then it gives what it has and a token to go on, as AWS does."""


@operation("PutLogEvents", service="logs")
def put_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add events to a stream. InvalidParameterException when they are not in the order of their times."""
    stream = scope.existing_stream(cx, request)
    lines = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
    if any(later[0] < earlier[0] for earlier, later in pairwise(lines)):
        raise scope.invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if lines[-1][0] - lines[0][0] > DAY_MS:
        raise scope.invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    first, last, rejected = _accepted(cx, request, [at for at, _ in lines])
    logstore.append(cx, stream.id, lines[first:last])
    answer: dict[str, Any] = {"nextSequenceToken": f"{stream.id:056d}"}
    return answer | ({"rejectedLogEventsInfo": rejected} if rejected else {})


def _accepted(cx: Context, request: dict[str, Any], times: list[int]) -> tuple[int, int, dict[str, int]]:
    """Return the range of events that are neither too old, nor expired, nor too new, and what to say of the others."""
    now_ms = int(cx.clock.now() * 1000)
    days = cx.db.execute(
        select(log_groups.c.retention_days).where(scope.groups_of(cx), log_groups.c.name == request["logGroupName"])
    ).scalar()
    old = bisect_left(times, now_ms - TOO_OLD_MS)
    expired = 0 if days is None else bisect_left(times, now_ms - days * DAY_MS)
    last = bisect_right(times, now_ms + TOO_NEW_MS)
    rejected = {"tooOldLogEventEndIndex": old} if old else {}
    rejected |= {"expiredLogEventEndIndex": expired} if expired else {}
    rejected |= {"tooNewLogEventStartIndex": last} if last < len(times) else {}
    first = max(old, expired)
    return first, max(first, last), rejected


@operation("GetLogEvents", service="logs")
def get_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read a page of a stream, forwards or backwards from a token."""
    stream = scope.existing_stream(cx, request)
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
async def filter_log_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read the events of a group's streams that match a pattern, by time; on a thread: it can look through many."""
    compiled = pattern.compile_pattern(request.get("filterPattern", ""))
    if "logStreamNames" in request and "logStreamNamePrefix" in request:
        raise scope.invalid("logStreamNames and logStreamNamePrefix must not both be specified.")  # Unverified: wording
    return await asyncio.to_thread(cx.look, lambda inside: _found(inside, request, compiled))


def _found(cx: Context, request: dict[str, Any], compiled: pattern.Pattern) -> dict[str, Any]:
    query = _of_group(cx, request)
    size, mark = request.get("limit", MAX_EVENTS), _read_token(request.get("nextToken"))
    events: list[dict[str, Any]] = []
    for _ in range(SCANNED // MAX_EVENTS):
        page = query if mark is None else query.where(_beyond(mark[1], mark[2], forward=True))
        rows = cx.db.execute(page.limit(MAX_EVENTS)).all()
        for row in rows:
            if compiled.match(row.message) is None:
                continue
            if len(events) == size:
                return _page(events, mark)
            events.append(_shown_event(row) | {"logStreamName": row.stream, "eventId": f"{row.id:056d}"})
            mark = ("f", row.timestamp_ms, row.id)
        if len(rows) < MAX_EVENTS:
            return _page(events, None)
        mark = ("f", rows[-1].timestamp_ms, rows[-1].id)
    return _page(events, mark)


def _page(events: list[dict[str, Any]], mark: tuple[str, int, int] | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
    return answer if mark is None else answer | {"nextToken": _write_token("f", mark[1:])}


def _of_group(cx: Context, request: dict[str, Any]) -> Select[Any]:
    """Write the query of a group's events, in the order of their times."""
    name = scope.existing_group(cx, request)
    query = select(log_events, log_streams.c.name.label("stream")).join_from(
        log_events, log_streams, log_events.c.stream_id == log_streams.c.id
    )
    query = query.where(scope.streams_of(cx, name), *_between(request))
    if request.get("logStreamNames"):
        query = query.where(log_streams.c.name.in_(request["logStreamNames"]))
    if "logStreamNamePrefix" in request:
        query = query.where(begins(log_streams.c.name, request["logStreamNamePrefix"]))
    return query.order_by(log_events.c.timestamp_ms, log_events.c.id)


def _between(request: dict[str, Any]) -> list[ColumnElement[bool]]:
    conditions = []
    if "startTime" in request:
        conditions.append(log_events.c.timestamp_ms >= request["startTime"])
    if "endTime" in request:
        conditions.append(log_events.c.timestamp_ms < request["endTime"])
    return conditions


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
        raise scope.invalid("The specified nextToken is invalid.")
    return direction, scope.number(digits[:20]), scope.number(digits[20:])


def _shown_event(row: Any) -> dict[str, Any]:
    return {"timestamp": row.timestamp_ms, "message": row.message, "ingestionTime": row.ingestion_ms}
