"""Reset: forget one account, or everything.

Components first forget what hangs on no account column (`reset(kernel, account)`), then every row goes, then components end what
still runs for it (`after_reset(kernel, account)`): drivers find their resource gone and clean up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from backends.core.tables import (
    METADATA,
    awaited,
    deliveries,
    events,
    facets,
    installation,
    log_events,
    log_streams,
    parents,
    resources,
    tags,
)

if TYPE_CHECKING:
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

KEPT = frozenset({installation.name, "alembic_version"})


async def reset(kernel: Kernel, account: str | None = None) -> None:
    """Delete every row of the account (None: of all accounts) and end what runs for it."""
    await _notify(kernel, "reset", account)
    await kernel.db.write(lambda tx: _forget(tx, account))
    kernel.forget_keys(account)
    await _notify(kernel, "after_reset", account)
    kernel.clocks.load_offsets({} if account is None else {account: 0.0}, replace=account is None)
    kernel.changed.notify()


async def _notify(kernel: Kernel, what: str, account: str | None) -> None:
    for module in kernel.modules:
        told = getattr(module, what, None)
        if told is not None:
            await asyncio.to_thread(told, kernel, account)


def _forget(tx: Transaction, account: str | None) -> None:
    if account is not None:
        # Tables without an account column hang on rows that have one.
        ids = select(resources.c.id).where(resources.c.account == account)
        tx.connection.execute(delete(facets).where(facets.c.resource_id.in_(ids)))
        arns = select(resources.c.arn).where(resources.c.account == account)
        tx.connection.execute(delete(tags).where(tags.c.arn.in_(arns)))
        ids = select(parents.c.id).where(parents.c.account == account)
        tx.connection.execute(delete(awaited).where(awaited.c.parent_id.in_(ids)))
        ids = select(events.c.id).where(events.c.account == account)
        tx.connection.execute(delete(deliveries).where(deliveries.c.event_id.in_(ids)))
        streams = select(log_streams.c.id).where(log_streams.c.account == account)
        tx.connection.execute(delete(log_events).where(log_events.c.stream_id.in_(streams)))
    for table in reversed(METADATA.sorted_tables):
        if table.name in KEPT:
            continue
        if account is None:
            tx.connection.execute(delete(table))
        elif "account" in table.c:
            tx.connection.execute(delete(table).where(table.c.account == account))
