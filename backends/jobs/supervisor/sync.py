# ruff: noqa: PTH103, PTH105, PTH108, PTH118, PTH120, PTH123 - pathlib would cost every supervisor 8 ms of its start
"""A directory that the job writes is mirrored into one of the server's, and each change is journalled.

The server takes the journal from where it stopped and puts or deletes the objects, so nothing is lost while it is
away. Only files that a mirror has itself put, or that lay in `local` at the start, are ever deleted: several hosts may
share one destination (of checkpoints: training.md section 9). The job may put a link in the place of any name: the directory that is mounted
into it is held open from before the start, and everything is opened below that.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import TYPE_CHECKING

from . import beneath, sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

INTERVAL_S = 2.0
_BLOCK_BYTES = 1 << 20
_MAX_KEY_BYTES = 1024  # of S3: what has a longer name cannot be stored

_Stamp = tuple[int, int]


class Mirror:
    """All the mirrors of one job, walked by one thread. `mounted`: the directories that hosts see as /opt/ml.

    `limit_bytes`: what one mirror may take of the disk, the job's volume; `note` is told once of what is left out for that.
    """

    def __init__(
        self,
        pairs: list[dict[str, str]],
        journal: str,
        mounted: Iterable[str] = (),
        limit_bytes: int | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._limit_bytes, self._note = limit_bytes, note
        self._pairs = pairs
        self._journal = journal
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._places = [_place(pair["local"], mounted) for pair in pairs]
        seen = [_scan(*place) or {} for place in self._places]
        self._known = [{name: stamp for name, (stamp, _) in files.items()} for files in seen]
        self._held = [
            {name: size for name, (_, size) in files.items() if os.path.lexists(os.path.join(pair["remote"], name))}
            for pair, files in zip(pairs, seen, strict=True)
        ]

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
        known, held, lines = self._known[index], self._held[index], []
        present = _scan(*self._places[index])
        if present is None:  # a link or a file is where the directory was: nothing is known of what it would hold
            return
        for name in [name for name in known if name not in present]:
            del known[name]
            held.pop(name, None)
            gone = os.path.join(pair["remote"], name)
            with contextlib.suppress(OSError):
                os.unlink(gone)
                os.removedirs(os.path.dirname(gone))  # those that are empty: a file may come to have the folder's name
            lines.append(f"delete {index} {name}\n")
        total = sum(held.values())
        for name, (stamp, size) in present.items():
            if known.get(name) == stamp:
                continue
            after = total + size - held.get(name, 0)
            if self._limit_bytes is not None and after > self._limit_bytes:
                self._leave_out(self._limit_bytes)
            elif _copy(self._places[index], pair["remote"], name, stamp):
                known[name], held[name], total = stamp, size, after
                lines.append(f"put {index} {name}\n")
        if lines:
            with open(self._journal, "a", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(lines))

    def _leave_out(self, limit_bytes: int) -> None:
        """Log once that not everything is uploaded: files of several names, say, are several objects of the whole size."""
        if self._note is not None:
            self._note(
                f"LocalMaker: mirrored files that take more than the volume's {limit_bytes >> 30} GB are not uploaded."
            )
            self._note = None


def read(path: str, since: int) -> Iterator[tuple[str, int, str, int]]:
    """Yield the whole lines of the journal from offset `since` on: (verb, sync index, relative path, offset behind)."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        file.seek(since)
        for line in file:
            if not line.endswith(b"\n"):
                return
            since += len(line)
            verb, index, name = line[:-1].decode(errors="surrogateescape").split(" ", 2)
            yield verb, int(index), name, since


def _place(local: str, mounted: Iterable[str]) -> tuple[int, str]:
    """Hold what is mounted into the job open: (descriptor, path of the mirrored directory below it)."""
    for above in mounted:
        if local.startswith(f"{above}/"):
            return beneath.root(above), local[len(above) + 1 :]
    return beneath.root(local), ""


def _scan(at: int, name: str) -> dict[str, tuple[_Stamp, int]] | None:
    """Return each regular file with its (size, mtime ns) and what it takes of the disk; None where the directory has become something else.

    A name with a newline, or one too long for a key, is left out.
    """
    try:
        return {
            path: ((status.st_size, status.st_mtime_ns), min(status.st_size, 512 * status.st_blocks))
            for path, status in beneath.walk(at, name)
            if stat.S_ISREG(status.st_mode) and "\n" not in path and len(os.fsencode(path)) <= _MAX_KEY_BYTES
        }
    except FileNotFoundError:
        return {}
    except OSError:
        return None


def _copy(place: tuple[int, str], remote: str, name: str, stamp: _Stamp) -> bool:
    """Copy one file, whole or not at all; False when it changed or vanished meanwhile (the next pass has it again)."""
    at, folder = place
    target, temporary = os.path.join(remote, name), f"{remote}.part"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        source = beneath.file(at, f"{folder}/{name}" if folder else name)
        with open(source, "rb") as reader, open(temporary, "wb") as writer:
            for start, end in sparse.extents(source, stamp[0]):
                reader.seek(start)
                writer.seek(start)
                while (left := end - reader.tell()) > 0 and (block := reader.read(min(left, _BLOCK_BYTES))):
                    writer.write(block)
            writer.truncate(stamp[0])
            status = os.fstat(source)
        if (status.st_size, status.st_mtime_ns) == stamp:
            os.replace(temporary, target)
            return True
    except OSError:
        pass
    with contextlib.suppress(OSError):
        os.unlink(temporary)
    return False
