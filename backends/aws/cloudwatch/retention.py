"""The end of what CloudWatch keeps for a while, on each account's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

if TYPE_CHECKING:
    from sqlalchemy import Table

    from backends.core.db import Transaction
    from backends.core.kernel import Kernel


def forget_old(kernel: Kernel, table: Table, kept_s: float) -> None:
    """Delete the rows of a table whose `time` is longer ago than `kept_s` seconds."""
    accounts = kernel.db.read_blocking(
        lambda tx: list(tx.connection.execute(select(table.c.account).distinct()).scalars())
    )
    for account in accounts:
        _forget(kernel, table, account, kernel.clocks.now(account) - kept_s)


def _forget(kernel: Kernel, table: Table, account: str, before: float) -> None:
    def forget(tx: Transaction) -> None:
        tx.connection.execute(delete(table).where(table.c.account == account, table.c.time < before))

    kernel.db.write_blocking(forget)
