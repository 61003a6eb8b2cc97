"""What nobody but the server's own user may read: its state, the descriptions of its jobs, the credentials in both."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def directory(path: Path) -> None:
    """Make a directory that only this user may enter; one that is there already becomes that, if it is this user's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid == os.geteuid():
        path.chmod(0o700)


def database(path: Path) -> None:
    """Make an SQLite file, before SQLite does, for this user only; its companions get the same mode from SQLite."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):  # of an older version they may be open to all
        file = path.with_name(name)
        if file.exists() and file.stat().st_uid == os.geteuid():
            file.chmod(0o600)
