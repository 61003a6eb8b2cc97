"""The lease: who runs loops, delivers events and adopts jobs.

One server owns a data directory (a held file lock) and, on PostgreSQL, its database (an advisory lock); a second one
refuses to start and names the first.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from backends.core.settings import Settings

ADVISORY_KEY = 0x10CA1  # any number that is always the same


class LeaseHeldError(RuntimeError):
    """Another server holds this data directory."""


class Lease:
    """A held lock on the data directory."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / "lock"
        self._file: IO[str] | None = None
        self._connection: Connection | None = None

    def acquire(self, engine: Engine) -> None:
        """Take the lease; raise LeaseHeldError, naming the holder, when another process has it."""
        self._lock_directory()
        if engine.dialect.name == "postgresql":
            self._connection = engine.connect()
            held = self._connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_KEY}).scalar()
            self._connection.commit()  # the lock is the session's, and a transaction must not stay open
            if not held:
                self.release()
                raise LeaseHeldError(f"the database {engine.url.render_as_string()} is used by a running server")

    def _lock_directory(self) -> None:
        held = self._path.open("a+")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.seek(0)
            holder = held.read().strip() or "another process"
            held.close()
            raise LeaseHeldError(f"{self._path.parent} is used by a running server ({holder})") from None
        held.truncate(0)
        held.write(f"pid {os.getpid()}")
        held.flush()
        self._file = held

    def release(self) -> None:
        """Release the lease."""
        if self._connection is not None:
            self._connection.invalidate()  # back in the pool it would keep the lock
            self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None
