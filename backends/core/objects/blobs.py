"""Blob files: written under a temporary name, synced where durability asks for it, renamed, and never changed again.

Keys never become paths: a blob is named by a random id. A job may be given a hard link to one, but only where its mount
is read-only; the files are without write permission all the same.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from backends.jobs.supervisor import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FICLONE = 0x40049409
READ_ONLY = 0o444


class Blobs:
    """The files of one store."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self._files, self._temporary, self._durable = root / "blobs", root / "temporary", durable
        for folder in (self._files, self._temporary):
            folder.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            (self._files / f"{number:02x}").mkdir(exist_ok=True)

    def path(self, blob: str) -> Path:
        """Return the file of a blob."""
        return self._files / blob[:2] / blob

    def writer(self) -> BlobWriter:
        """Begin a new blob."""
        return BlobWriter(self, self._temporary / uuid.uuid4().hex)

    def adopt(self, temporary: Path) -> str:
        """Make a finished file on the same file system a blob; give the blob's name."""
        blob = uuid.uuid4().hex
        temporary.chmod(READ_ONLY)
        if self._durable:
            _sync(temporary)
        temporary.rename(self.path(blob))
        if self._durable:
            _sync(self.path(blob).parent)
        return blob

    def temporary(self) -> Path:
        """Return a fresh name for a file that will be adopted."""
        return self._temporary / uuid.uuid4().hex

    def join(self, names: list[str]) -> str:
        """Make one blob of several, end to end; where the file system can, without copying."""
        target = self.temporary()
        try:
            with target.open("xb", buffering=0) as made:
                for name in names:
                    with self.path(name).open("rb", buffering=0) as origin:
                        _append(origin, made)
            return self.adopt(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def remove(self, blob: str) -> None:
        """Remove a blob's file."""
        self.path(blob).unlink(missing_ok=True)

    def sweep_temporary(self, before: float) -> None:
        """Remove what an earlier server left unfinished: files not written to since `before` (epoch seconds)."""
        for file in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()

    def names(self, before: float) -> Iterator[list[str]]:
        """Yield, folder by folder, the names of blobs that were in place before `before` (epoch seconds)."""
        for folder in sorted(self._files.iterdir()):
            batch = []
            for file in os.scandir(folder):
                with suppress(FileNotFoundError):
                    if file.stat().st_ctime < before:  # renaming stamps it
                        batch.append(file.name)
            yield batch


class BlobWriter:
    """One blob being written. Give it chunks from any thread, one at a time; then `finish`, or `abandon`."""

    def __init__(self, blobs: Blobs, path: Path) -> None:
        self._blobs, self._path = blobs, path
        self._file = path.open("wb", buffering=0)
        self.md5: Any = hashlib.md5(usedforsecurity=False)
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append and hash a chunk."""
        self.append(chunk)
        self.md5.update(chunk)

    def append(self, chunk: bytes) -> None:
        """Append a chunk; whoever calls this updates `md5` too, perhaps from another thread at the same time."""
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(chunk)

    def finish(self) -> str:
        """Make the file a blob; give its name."""
        self._file.close()
        return self._blobs.adopt(self._path)

    def abandon(self) -> None:
        """Throw the file away. Idempotent, and harmless after `finish`."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes: a reflink where the file system has them, else a copy inside the kernel."""
    with source.open("rb") as origin:
        copy_open(origin, target)


def copy_open(origin: IO[bytes], target: Path, *, pad: bool = False) -> None:
    """Copy an open file's bytes, as many as it has now; its holes stay holes where the kernel tells them.

    OSError when it becomes shorter meanwhile, unless `pad`.
    """
    with target.open("xb") as made:
        try:
            try:
                fcntl.ioctl(made.fileno(), FICLONE, origin.fileno())
            except OSError:
                shutil.copyfileobj(origin, made, 1 << 20) if not hasattr(os, "sendfile") else _send(origin, made, pad)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where links cannot be made."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except FileNotFoundError:
        raise
    except OSError:
        copy(source, target)


def _append(origin: Any, made: Any) -> None:
    """Append a file to another inside the kernel, or by hand where it cannot."""
    left = os.fstat(origin.fileno()).st_size
    try:
        while left > 0 and hasattr(os, "copy_file_range"):
            moved = os.copy_file_range(origin.fileno(), made.fileno(), left)
            if moved == 0:
                break
            left -= moved
    except OSError as error:
        if error.errno not in {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP}:
            raise
    if left > 0:  # both files stand where the kernel stopped
        shutil.copyfileobj(origin, made, 1 << 20)


def _send(origin: Any, made: Any, pad: bool) -> None:
    size = os.fstat(origin.fileno()).st_size
    for start, end in sparse.extents(origin.fileno(), size):
        offset = os.lseek(made.fileno(), start, os.SEEK_SET)
        while offset < end:
            sent = os.sendfile(made.fileno(), origin.fileno(), offset, end - offset)
            if sent == 0 and not pad:
                raise OSError(f"{origin.name} became shorter while it was copied")
            offset = offset + sent if sent else end
    os.ftruncate(made.fileno(), size)


def _sync(path: Path) -> None:
    with suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
