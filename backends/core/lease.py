"""The lease: who runs loops, delivers events and adopts jobs.

One server owns a data directory (a held file lock; a second one refuses to start). Servers that share a PostgreSQL
database agree by an advisory lock.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from backends.core.settings import Settings


class LeaseHeldError(RuntimeError):
    """Another server holds this data directory."""


class Lease:
    """A held lock on the data directory."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lease; raise LeaseHeldError, naming the holder, when another process has it."""
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
        """Give the lease back."""
        if self._file is not None:
            self._file.close()
            self._file = None
