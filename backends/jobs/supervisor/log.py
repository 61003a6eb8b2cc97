# ruff: noqa: PTH116, PTH123 - pathlib would cost every supervisor 8 ms of its start
"""The log of a job: one file, one line per line of output, stamped with the time at which it came.

Lines of all hosts share the file, so that one number, the offset behind the last line taken, is all that a reader has
to keep. A line is whole once its newline is written; a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE_BYTES = 256 * 1024  # one CloudWatch event; a longer line goes on in the next
_BLOCK_BYTES = 1 << 20


class Log:
    """The writing side. Threads share it; a line is written by one call."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._partial: dict[str, bytes] = {}
        self._last: dict[str, bytes] = {}
        _drop_torn_line(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def feed(self, host: str, data: bytes, stamp_ns: int | None = None) -> None:
        """Take raw output; whole lines are written, the rest is kept until its newline comes."""
        *lines, rest = (self._partial.get(host, b"") + data).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            lines.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        self._partial[host] = rest
        self._write(host, lines, stamp_ns)

    def end(self, host: str) -> None:
        """Write what a host left without a newline."""
        rest = self._partial.pop(host, b"")
        if rest:
            self._write(host, [rest], None)

    def note(self, host: str, text: str) -> None:
        """Write a line of our own."""
        self._write(host, text.encode(errors="replace").split(b"\n"), None)

    def last(self, host: str) -> str:
        """Return the last line that a host wrote, "" when there was none."""
        return self._last.get(host, b"").decode(errors="replace")

    def _write(self, host: str, lines: list[bytes], stamp_ns: int | None) -> None:
        if not lines:
            return
        self._last[host] = lines[-1]
        head = f"{stamp_ns or time.time_ns()} {host} ".encode()
        data = b"".join(head + piece + b"\n" for line in lines for piece in _pieces(line.rstrip(b"\r")))
        # On a full disk lines are dropped: a reader that gave up would stop the job, which may yet free some.
        with self._lock, contextlib.suppress(OSError):
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]


def read(path: str, since: int) -> Iterator[tuple[int, str, str, int]]:
    """Yield the whole lines from offset `since` on: (epoch ns, host, text, offset behind the line)."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - a generator: closed below
    except FileNotFoundError:
        return
    with file:
        file.seek(since)
        rest, offset = b"", since
        while block := file.read(_BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                offset += len(line) + 1
                with contextlib.suppress(ValueError):  # torn by a full disk
                    stamp, host, text = line.split(b" ", 2)
                    yield int(stamp), host.decode(), text.decode(errors="replace"), offset


def last_stamps(path: str) -> dict[str, tuple[int, int]]:
    """Return, for each host, the newest stamp written and how many lines carry it."""
    last: dict[str, tuple[int, int]] = {}
    for stamp, host, _, _ in read(path, 0):
        newest, count = last.get(host, (0, 0))
        if stamp >= newest:
            last[host] = (stamp, count + 1 if stamp == newest else 1)
    return last


def _pieces(line: bytes) -> Iterator[bytes]:
    if not line:
        yield line
    for start in range(0, len(line), MAX_LINE_BYTES):
        yield line[start : start + MAX_LINE_BYTES]


def _drop_torn_line(path: str) -> None:
    """Cut off a last line that a killed supervisor did not finish, so that the next one starts on its own."""
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        return
    with open(path, "r+b") as file:
        start = max(0, size - 2 * MAX_LINE_BYTES)
        file.seek(start)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(start + whole)
