# ruff: noqa: PTH101, PTH103, PTH108, PTH116, PTH118 - pathlib would cost every supervisor 8 ms of its start
"""Pipe mode: the FIFOs of one channel, one per epoch, fed by a thread.

`<channel>_0` exists before the job starts; the next one appears when the one before is finished. A reader that closes
early ends its epoch. Framing and order: training.md section 5.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDIO_MAGIC = 0xCED7230A
_BLOCK_BYTES = 1 << 20


def start(pipe: dict[str, Any], opt_ml: str, report: Callable[[str], None]) -> None:
    """Make the first FIFO and start feeding. `report` takes a sentence when the channel cannot be fed on.

    `pipe` is `spec.Pipe` as JSON. The thread never ends of itself: it dies with the supervisor.
    """
    folder = os.path.join(opt_ml, "input", "data")
    os.makedirs(folder, exist_ok=True)
    _make(_name(folder, pipe, 0))
    threading.Thread(target=_feed, args=(pipe, folder, report), daemon=True).start()


def _feed(pipe: dict[str, Any], folder: str, report: Callable[[str], None]) -> None:
    epoch = 0
    try:
        while True:
            path = _name(folder, pipe, epoch)
            _write_epoch(path, pipe, epoch)
            epoch += 1
            _make(_name(folder, pipe, epoch))
            os.unlink(path)
    except OSError as error:
        report(f"Channel {pipe['channel']}, epoch {epoch}: {error}")


def _write_epoch(path: str, pipe: dict[str, Any], epoch: int) -> None:
    """Send one epoch; returns when it is sent or when the reader has closed."""
    fd = os.open(path, os.O_WRONLY)  # waits for a reader
    try:
        with contextlib.suppress(BrokenPipeError):
            for entry in order(pipe["entries"], pipe["shuffle_seed"], epoch):
                for part in entry:
                    for block in blocks(part, pipe["gzip"], pipe["record_wrapper"]):
                        _write_all(fd, block)
    finally:
        os.close(fd)


def order(entries: list[Any], seed: int | None, epoch: int) -> list[Any]:
    """Give the entries of an epoch in their order: as they are, or shuffled by seed and epoch."""
    if seed is None:
        return entries
    shuffled = list(entries)
    random.Random(f"{seed}/{epoch}").shuffle(shuffled)  # noqa: S311 - data order, not secrecy
    return shuffled


def blocks(part: dict[str, str], gzipped: bool, wrapper: str) -> Iterator[bytes]:
    """Give the bytes of one part, framed as a RecordIO record if asked."""
    if wrapper != "RecordIO":
        yield from _raw(part, gzipped)
        return
    size = (
        sum(len(block) for block in _raw(part, gzipped)) if gzipped or "text" in part else os.stat(part["path"]).st_size
    )
    yield struct.pack("<II", RECORDIO_MAGIC, size)
    yield from _raw(part, gzipped)
    yield b"\0" * (-size % 4)


def _raw(part: dict[str, str], gzipped: bool) -> Iterator[bytes]:
    if "text" in part:
        yield part["text"].encode()
        return
    if gzipped:
        import gzip

        opener: Callable[..., Any] = gzip.open
    else:
        opener = open
    with opener(part["path"], "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _write_all(fd: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(fd, view) :]


def _make(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path)
    os.chmod(path, 0o666)  # noqa: S103 - an image may run as any user


def _name(folder: str, pipe: dict[str, Any], epoch: int) -> str:
    return os.path.join(folder, f"{pipe['channel']}_{epoch}")
