# ruff: noqa: PTH103, PTH105, PTH108, PTH113, PTH114, PTH118, PTH120, PTH123 - pathlib would cost every supervisor 8 ms of its start
"""Checkpoints: a directory that the job writes is mirrored into one of the server's, and each change is journalled.

The server takes the journal from where it stopped and puts or deletes the objects, so nothing is lost while it is
away. Only files that a mirror has itself put, or that lay in `local` at the start, are ever deleted: several hosts may
share one destination (training.md section 9).
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVAL_S = 2.0
_BLOCK_BYTES = 1 << 20


class Mirror:
    """All the mirrors of one job, walked by one thread."""

    def __init__(self, pairs: list[dict[str, str]], journal: str) -> None:
        self._pairs = pairs
        self._journal = journal
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._known: list[dict[str, tuple[int, int]]] = [dict(_scan(pair["local"])) for pair in pairs]

    def start(self) -> None:
        """Start the thread, if there is anything to mirror."""
        if self._pairs:
            threading.Thread(target=self._run, daemon=True).start()

    def finish(self) -> None:
        """Mirror once more, when all hosts have ended."""
        self._stop.set()
        self._pass()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._pass()

    def _pass(self) -> None:
        with self._lock:
            for index, pair in enumerate(self._pairs):
                self._mirror(index, pair)

    def _mirror(self, index: int, pair: dict[str, str]) -> None:
        known, lines = self._known[index], []
        found = dict(_scan(pair["local"]))
        for name, stamp in found.items():
            if known.get(name) != stamp and _copy(pair, name, stamp):
                known[name] = stamp
                lines.append(f"put {index} {name}\n")
        for name in [name for name in known if name not in found]:
            del known[name]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(pair["remote"], name))
            lines.append(f"delete {index} {name}\n")
        if lines:
            with open(self._journal, "a", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(lines))


def read(path: str, since: int) -> Iterator[tuple[str, int, str, int]]:
    """Give the whole lines of the journal from offset `since` on: (verb, sync index, relative path, offset behind)."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        file.seek(since)
        for line in file:
            if not line.endswith(b"\n"):
                return
            since += len(line)
            verb, index, name = line[:-1].decode(errors="surrogateescape").split(" ", 2)
            yield verb, int(index), name, since


def _scan(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Give each regular file below `folder`: relative path, (size, mtime ns). A name with a newline is left out."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with contextlib.suppress(OSError):
                stat = os.lstat(path)
                if os.path.isfile(path) and not os.path.islink(path) and "\n" not in path:
                    yield os.path.relpath(path, folder), (stat.st_size, stat.st_mtime_ns)


def _open_below(root: str, name: str) -> int:
    """Open a file below a directory without following any link: the job may swap one in at any moment."""
    *folders, last = name.split("/")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            deeper = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = deeper
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd)
    finally:
        os.close(fd)


def _copy(pair: dict[str, str], name: str, stamp: tuple[int, int]) -> bool:
    """Copy one file, whole or not at all; False when it changed or vanished meanwhile (the next pass has it again)."""
    target = os.path.join(pair["remote"], name)
    temporary = f"{target}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(_open_below(pair["local"], name), "rb") as reader, open(temporary, "wb") as writer:
            while block := reader.read(_BLOCK_BYTES):
                writer.write(block)
            stat = os.fstat(reader.fileno())
        if (stat.st_size, stat.st_mtime_ns) == stamp:
            os.replace(temporary, target)
            return True
    except OSError:
        pass
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    return False
