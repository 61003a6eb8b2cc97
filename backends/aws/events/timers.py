"""When rules and schedules come next, on their accounts' clocks.

A test that moves a clock meets all the times that it moves over; after a pause of the server only the last of those that were
missed comes, so that a machine that was off for a night does not run a night's jobs at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from backends.aws.events.tables import event_timers
from backends.core.dialects import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

MOST_AT_ONCE = 1000
COLUMNS = event_timers.c


def put(cx: Context, kind: str, key: str, next_at: float | None) -> None:
    """Set when one comes next; None for never."""
    own = {"kind": kind, "account": cx.account, "region": cx.region, "key": key}
    if next_at is None:
        cx.db.execute(delete(event_timers).where(*(COLUMNS[name] == value for name, value in own.items())))
    else:
        offset_s = cx.kernel.clocks.offset_s(cx.account)
        insert_or_update(cx.db, event_timers, own, {"next_at": next_at, "offset_s": offset_s})


def due(kernel: Kernel) -> list[Any]:
    """Return what is due by its account's clock, the earliest first."""

    def read(tx: Transaction) -> list[Any]:
        rows: list[Any] = []
        for account in tx.connection.execute(select(COLUMNS.account).distinct()).scalars().all():
            is_due = (COLUMNS.account == account) & (COLUMNS.next_at <= kernel.clocks.now(account))
            query = select(event_timers).where(is_due).order_by(COLUMNS.next_at).limit(MOST_AT_ONCE)
            rows += tx.connection.execute(query).all()
        return rows

    return kernel.db.read_blocking(read)


def is_still(cx: Context, row: Any) -> bool:
    """Return whether nobody has set another time since a row was read; the row is locked where that can be."""
    same = [COLUMNS[name] == row._mapping[name] for name in ("kind", "account", "region", "key", "next_at")]  # noqa: SLF001 - SQLAlchemy's own name
    return cx.db.execute(select(COLUMNS.key).where(*same).with_for_update()).first() is not None


def times(
    cx: Context, row: Any, following: Callable[[float], float | None], most: int = MOST_AT_ONCE
) -> tuple[list[float], float | None]:
    """Return the times at which one that is due comes now, and its next one."""
    now, missed, next_at = cx.clock.now(), [row.next_at], following(row.next_at)
    while next_at is not None and next_at <= now and len(missed) < most:
        missed.append(next_at)
        next_at = following(next_at)
    if next_at is not None and next_at <= now:
        next_at = following(now)
    is_moved = cx.kernel.clocks.offset_s(cx.account) != row.offset_s
    return (missed if is_moved else missed[-1:]), next_at
