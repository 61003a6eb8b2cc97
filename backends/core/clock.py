"""Time that tests can move, per account.

Timestamps, schedules, TTLs and runtime limits read this clock; process waits, I/O time-outs and signature skew use real
time. Moving an account's clock forward is how a test sees a 24-hour limit strike at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from backends.core.tables import clocks

if TYPE_CHECKING:
    from backends.core.db import Transaction


class Clocks:
    """The offsets of all accounts' clocks against real time, in seconds; kept in the database."""

    def __init__(self) -> None:
        self._offsets: dict[str, float] = {}

    def load(self, tx: Transaction) -> None:
        """Read the offsets that earlier runs left."""
        self._offsets = {row.account: row.offset_s for row in tx.connection.execute(select(clocks))}

    def load_offsets(self, offsets: dict[str, float], *, replace: bool) -> None:
        """Take offsets over from a reset."""
        self._offsets = offsets if replace else {**self._offsets, **offsets}

    def offset_s(self, account: str) -> float:
        """Return how far an account's clock is ahead of real time."""
        return self._offsets.get(account, 0.0)

    def set_offset(self, tx: Transaction, account: str, offset_s: float) -> None:
        """Move an account's clock; 0 puts it back to real time."""
        tx.connection.execute(delete(clocks).where(clocks.c.account == account))
        if offset_s:
            tx.connection.execute(insert(clocks), {"account": account, "offset_s": offset_s})
        tx.after_commit.append(lambda: self._offsets.__setitem__(account, offset_s))

    def now(self, account: str) -> float:
        """Return an account's time: epoch seconds, UTC."""
        return time.time() + self._offsets.get(account, 0.0)

    def of(self, account: str) -> Clock:
        """Return the clock of one account."""
        return Clock(self, account)


@dataclass(frozen=True, slots=True)
class Clock:
    """One account's clock."""

    clocks: Clocks
    account: str

    def now(self) -> float:
        """Return the time in epoch seconds (UTC), to the millisecond, as AWS's timestamps are."""
        return round(self.clocks.now(self.account), 3)
