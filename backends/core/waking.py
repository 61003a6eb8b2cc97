"""Wakes the parents that wait for a time of their account's clock (`parents.py`, `WakeAt`)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from backends.core import parents
from backends.core.commands import Happened
from backends.core.loops import every
from backends.core.memory import InMemory
from backends.core.tables import parents as waiting

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
LONGEST_PAUSE_S = 60.0
FAILED = InMemory[dict[int, tuple[int, float]]]("core.waking.failed", lambda _kernel: {})
"""Whose step has raised at its time, by the row's id: how often in a row, and the real time of the next try."""


@every(0.5)
def wake(kernel: Kernel) -> None:
    """Call the steps whose time has come, by their accounts' clocks. One that raises backs off, and holds up no other."""
    columns = waiting.c.id, waiting.c.account, waiting.c.region, waiting.c.arn, waiting.c.wake_at
    query = select(*columns).where(waiting.c.wake_at.is_not(None)).order_by(waiting.c.wake_at)
    rows = kernel.db.read_blocking(lambda tx: tx.connection.execute(query).all())
    failed = FAILED.of(kernel)
    for gone in failed.keys() - {row.id for row in rows}:
        del failed[gone]
    for row in rows:
        times, next_at = failed.get(row.id, (0, 0.0))
        if kernel.clocks.now(row.account) < row.wake_at or time.monotonic() < next_at:
            continue
        try:
            kernel.context(row.account, row.region).write(lambda cx, row=row: _wake(cx, row))  # type: ignore[misc]
        except Exception:
            log.exception("%s could not be woken; it is tried again", row.arn)
            failed[row.id] = times + 1, time.monotonic() + min(2.0**times, LONGEST_PAUSE_S)
        else:
            failed.pop(row.id, None)


def _wake(cx: Context, seen: Any) -> None:
    query = select(waiting).where(waiting.c.id == seen.id, waiting.c.wake_at == seen.wake_at)
    row = cx.db.execute(query.with_for_update()).first()
    if row is None:  # ended, or woken for something else, since
        return
    cx.db.execute(update(waiting).where(waiting.c.id == row.id).values(wake_at=None))
    parents.run(cx, parents.KINDS.of(cx.kernel)[row.kind], row, Happened("time"))
