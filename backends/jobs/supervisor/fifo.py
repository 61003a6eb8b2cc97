# ruff: noqa: PTH101, PTH108, PTH116 - pathlib would cost every supervisor 8 ms of its start
"""Pipe mode: the FIFOs of one channel, one per epoch, fed by a thread.

`<channel>_0` exists before the job starts; the next one appears when the one before is finished. A reader that closes
early ends its epoch. Framing and order: training.md section 5. The job owns the folder they lie in and may put anything
in their place: it is held open from before the start, a FIFO is made elsewhere and renamed into it, and nothing is
written before what was opened is known to be a FIFO.
"""

from __future__ import annotations

import contextlib
import os
import random
import stat
import struct
import threading
from typing import TYPE_CHECKING, Any

from . import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDIO_MAGIC = 0xCED7230A
_BLOCK_BYTES = 1 << 20


def start(pipe: dict[str, Any], opt_ml: str, scratch: str, report: Callable[[str], None]) -> None:
    """Make the first FIFO and start feeding. `report` takes a sentence when the channel cannot be fed on.

    `pipe` is `spec.Pipe` as JSON; `scratch` is a path of the supervisor's own on the same file system. The thread never
    ends of itself: it dies with the supervisor.
    """
    root = beneath.root(opt_ml)
    try:
        folder = beneath.make_directories(root, pipe["folder"], 0o777)
    finally:
        os.close(root)
    _make(folder, _name(pipe, 0), scratch)
    threading.Thread(target=_feed, args=(pipe, folder, scratch, report), daemon=True).start()


def _feed(pipe: dict[str, Any], folder: int, scratch: str, report: Callable[[str], None]) -> None:
    epoch = 0
    try:
        while True:
            _write_epoch(folder, pipe, epoch)
            epoch += 1
            _make(folder, _name(pipe, epoch), scratch)
            os.unlink(_name(pipe, epoch - 1), dir_fd=folder)
    except OSError as error:
        report(f"Channel {pipe['channel']}, epoch {epoch}: {error}")


def _write_epoch(folder: int, pipe: dict[str, Any], epoch: int) -> None:
    """Send one epoch; returns when it is sent or when the reader has closed."""
    fd = beneath.file(folder, _name(pipe, epoch), os.O_WRONLY, stat.S_ISFIFO)  # waits for a reader
    try:
        with contextlib.suppress(BrokenPipeError):
            for entry in order(pipe["entries"], pipe["shuffle_seed"], epoch):
                for part in entry:
                    for block in blocks(part, pipe["gzip"], pipe["record_wrapper"]):
                        _write_all(fd, block)
    finally:
        os.close(fd)


def order(entries: list[Any], seed: int | None, epoch: int) -> list[Any]:
    """Return the entries of an epoch in their order: as they are, or shuffled by seed and epoch."""
    if seed is None:
        return entries
    shuffled = list(entries)
    random.Random(f"{seed}/{epoch}").shuffle(shuffled)  # noqa: S311 - data order, not secrecy
    return shuffled


def blocks(part: dict[str, str], gzipped: bool, wrapper: str) -> Iterator[bytes]:
    """Yield the bytes of one part, framed as a RecordIO record if asked."""
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


def _make(folder: int, name: str, scratch: str) -> None:
    """Make a FIFO that anybody may open: its mode is set where no job can reach it, and its name appears at once."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    os.mkfifo(scratch)
    os.chmod(scratch, 0o666)  # noqa: S103 - an image may run as any user
    os.rename(scratch, name, dst_dir_fd=folder)


def _name(pipe: dict[str, Any], epoch: int) -> str:
    return f"{pipe['channel']}_{epoch}"
