"""Where CloudWatch Logs' groups, streams and events are kept; jobs write here, `backends/aws/logs` reads.

Events of a stream are ordered by (timestamp, row id). Callers write lines and their own offsets in one transaction,
so that a crash neither loses nor repeats a line.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import case, func, insert, select, update

from backends.core.dialects import insert_absent
from backends.core.tables import log_events, log_groups, log_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.context import Context

MAX_EVENT_BYTES = 262_118  # 256 KiB less CloudWatch Logs' 26 bytes of overhead per event
OVERHEAD_BYTES = 26


def ensure_group(cx: Context, group: str) -> None:
    """Make a log group unless it is there."""
    is_group = (log_groups.c.account == cx.account) & (log_groups.c.region == cx.region) & (log_groups.c.name == group)
    if cx.db.execute(select(log_groups.c.name).where(is_group)).first() is None:
        row = {"account": cx.account, "region": cx.region, "name": group, "created": cx.clock.now()}
        insert_absent(cx.db, log_groups, row)


def ensure_stream(cx: Context, group: str, stream: str) -> int:
    """Return the id of a stream; make it, and its group, unless they are there."""
    is_stream = (
        (log_streams.c.account == cx.account)
        & (log_streams.c.region == cx.region)
        & (log_streams.c.group_name == group)
        & (log_streams.c.name == stream)
    )
    query = select(log_streams.c.id).where(is_stream)
    stream_id: int | None = cx.db.execute(query).scalar()
    if stream_id is not None:
        return stream_id
    ensure_group(cx, group)
    row = {
        "account": cx.account,
        "region": cx.region,
        "group_name": group,
        "name": stream,
        "created": cx.clock.now(),
        "stored_bytes": 0,
    }
    insert_absent(cx.db, log_streams, row)
    made: int = cx.db.execute(query).scalar_one()
    return made


def append(cx: Context, stream_id: int, lines: Sequence[tuple[int, str]]) -> None:
    """Add (timestamp in ms, message) lines to a stream. Messages over CloudWatch's limit are cut there."""
    if not lines:
        return
    now_ms = int(time.time() * 1000)
    rows = [
        {"stream_id": stream_id, "timestamp_ms": at, "ingestion_ms": now_ms, "message": _fit(text)}
        for at, text in lines
    ]
    cx.db.execute(insert(log_events), rows)
    size = sum(len(text) + OVERHEAD_BYTES for _, text in lines)
    first, last = min(at for at, _ in lines), max(at for at, _ in lines)
    # One statement: on PostgreSQL, two writers that read first would each write over the other's times.
    oldest, newest = log_streams.c.first_event_ms, log_streams.c.last_event_ms
    cx.db.execute(
        update(log_streams)
        .where(log_streams.c.id == stream_id)
        .values(
            first_event_ms=case((func.coalesce(oldest, first) < first, oldest), else_=first),
            last_event_ms=case((func.coalesce(newest, last) > last, newest), else_=last),
            last_ingestion_ms=now_ms,
            stored_bytes=log_streams.c.stored_bytes + size,
        )
    )


def _fit(text: str) -> str:
    text = text.replace("\0", "")  # PostgreSQL's text takes every character but this one
    raw = text.encode("utf-8", errors="replace")
    return text if len(raw) <= MAX_EVENT_BYTES else raw[:MAX_EVENT_BYTES].decode("utf-8", errors="ignore")
