"""Unpack a tar.gz that anybody may have made, below a held directory: nothing of it lies, or leads, outside.

The stream is read once, forward. Headers are decoded block by block (`TarInfo.frombuf`) rather than by `TarFile`, which
reads an extended header of any size into memory, recurses into chains of them and resolves names as paths: names that
are longer than PATH_MAX defeat that, its `data` filter too (CVE-2025-4517). Format: pax(1) of POSIX.1-2017; "Basic Tar
Format" of the GNU tar manual.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tarfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 1 << 20
NAME_BYTES, COMPONENT_BYTES, DEPTH = 4096, 255, 256
EXTENDED_HEADER_BYTES = 1 << 20
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


class ArchiveError(Exception):
    """An archive that is none, or that is not unpacked; the sentence says which member and why."""


@dataclass(frozen=True)
class Limits:
    """What an archive may become: bytes in all, entries (folders that are only implied too), and growth.

    Growth is the bytes of the stream against those of the archive, looked at from `growth_from_bytes` on.
    """

    total_bytes: int = 30 << 30
    entries: int = 250_000
    growth: int = 200
    growth_from_bytes: int = 1 << 30


def unpack_file(packed: Path, target: Path, volume_bytes: int | None, check: Callable[[], None]) -> None:
    """Unpack an archive into a directory, as `unpack` does. `volume_bytes`: what it may become, where that is limited."""
    limits = Limits() if volume_bytes is None else Limits(total_bytes=volume_bytes)
    at = beneath.root(str(target))
    try:
        with packed.open("rb") as file:
            unpack(file, at, limits, check)
    finally:
        os.close(at)


def unpack(archive: IO[bytes], at: int, limits: Limits, check: Callable[[], None]) -> None:
    """Unpack a gzipped tar below directory descriptor `at`, to which nobody else writes meanwhile.

    Everybody may read the files and write to the folders; owners are not kept. A later member replaces an earlier one
    of its name. `check` is called now and then, and may raise. ArchiveError for everything that is wrong.
    """
    stream = _Stream(archive, limits, check)
    writer = _Writer(at, limits)
    try:
        while (member := _next(stream)) is not None:
            try:
                writer.write(member, stream)
            except gzip.BadGzipFile:
                raise
            except OSError as error:
                raise ArchiveError(f"{_shown(member.name)} cannot be made: {error.strerror or error}") from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise ArchiveError(str(error)) from error


@dataclass(frozen=True)
class _Compressed:
    """The archive's own bytes, as GzipFile reads them: `check` is called even while nothing comes of them."""

    file: IO[bytes]
    check: Callable[[], None]

    def read(self, size: int = -1) -> bytes:
        self.check()
        return self.file.read(size)


class _Stream:
    """The decompressed bytes, counted."""

    def __init__(self, archive: IO[bytes], limits: Limits, check: Callable[[], None]) -> None:
        self._plain = gzip.GzipFile(fileobj=_Compressed(archive, check), mode="rb")  # type: ignore[call-overload]
        self._limits = limits
        grown = limits.growth * os.fstat(archive.fileno()).st_size
        self._most_bytes = min(limits.total_bytes, max(grown, limits.growth_from_bytes))
        self.bytes = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes, fewer only at the end. ArchiveError beyond the limits."""
        block: bytes = self._plain.read(size)
        self.bytes += len(block)
        if self.bytes > self._most_bytes:
            if self._most_bytes == self._limits.total_bytes:
                raise ArchiveError(f"it holds more than the volume's {self._limits.total_bytes} bytes")
            raise ArchiveError(f"it holds more than {self._limits.growth} times its own size")
        return block

    def whole(self, size: int) -> bytes:
        """Read exactly `size` bytes, and what fills their last block."""
        block = self.read(size + -size % tarfile.BLOCKSIZE)
        if len(block) < size:
            raise EOFError("it ends within a member")
        return block[:size]


def _next(stream: _Stream) -> tarfile.TarInfo | None:
    """Read the header of the next member, with the extended ones before it; None at the archive's end."""
    changes: dict[str, str] = {}
    while True:
        first = stream.bytes == 0
        block = stream.read(tarfile.BLOCKSIZE)
        if (not block and not first) or block == tarfile.NUL * tarfile.BLOCKSIZE:
            return None
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.type not in (*_EXTENDED, *_LONG):
            break
        if not 0 <= member.size <= EXTENDED_HEADER_BYTES:
            raise ArchiveError(f"an extended header of {member.size} bytes is too long")
        content = stream.whole(member.size)
        if member.type in _LONG:
            name = content.split(tarfile.NUL, 1)[0]
            changes.setdefault(_LONG[member.type], name.decode("utf-8", "surrogateescape"))
        elif member.type != tarfile.XGLTYPE:  # what holds for all members is a comment, or times
            changes |= _records(content)
    if member.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in changes):
        raise ArchiveError(f"{_shown(member.name)} is stored as a sparse file")
    member.name = changes.get("path", member.name)
    member.linkname = changes.get("linkpath", member.linkname)
    member.size = int(changes.get("size", member.size))
    return member


def _records(content: bytes) -> dict[str, str]:
    """Read an extended header: records of a length, which counts all of the record, a space, `key=value` and a newline."""
    records: dict[str, str] = {}
    at = 0
    while at < len(content) and content[at]:
        length, space, _ = content[at : at + 20].partition(b" ")
        end = at + int(length) if space and length.isdigit() else 0
        record = content[at + len(length) + 1 : end]
        if end > len(content) or not record.endswith(b"\n"):
            raise ArchiveError("an extended header is broken")
        key, _, value = record[:-1].partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        at = end
    return records


class _Writer:
    """What is made below `at`, every folder opened by its own name and through no link."""

    def __init__(self, at: int, limits: Limits) -> None:
        self._at, self._limits, self._entries = at, limits, 0

    def write(self, member: tarfile.TarInfo, stream: _Stream) -> None:
        """Make one member, and read what it holds from the stream."""
        parts = _parts(member.name)
        if member.isdir():
            os.close(self._folder(parts))
            return
        if not parts:
            raise ArchiveError(f"{_shown(member.name)} is no name of a file")
        parent = self._folder(parts[:-1])
        try:
            self._count()
            if member.type in _REGULAR:
                _write_file(parent, parts[-1], member, stream)
            elif member.issym():
                _check_target(member, parts)
                _make_way(parent, parts[-1])
                os.symlink(member.linkname, parts[-1], dir_fd=parent)
            elif member.islnk():
                self._link(parent, parts[-1], member)
            else:
                raise ArchiveError(f"{_shown(member.name)} is neither a file, a folder nor a link")
        finally:
            os.close(parent)

    def _count(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise ArchiveError(f"it has more than {self._limits.entries} files and folders")

    def _folder(self, parts: list[str]) -> int:
        """Open a folder, and make what is missing of it."""
        fd = os.dup(self._at)
        for part in parts:
            try:
                try:
                    deeper = beneath.directory(fd, part)
                except FileNotFoundError:
                    self._count()
                    deeper = beneath.make_directories(fd, part, 0o777)
            finally:
                os.close(fd)
            fd = deeper
        return fd

    def _link(self, parent: int, name: str, member: tarfile.TarInfo) -> None:
        """Make a second name of a file that was unpacked before."""
        target = _parts(member.linkname)
        holder = beneath.directory(self._at, "/".join(target[:-1]))
        try:
            if not target or not stat.S_ISREG(os.stat(target[-1], dir_fd=holder, follow_symlinks=False).st_mode):
                raise ArchiveError(f"{_shown(member.name)} is a hard link to what is no file")
            if os.path.samestat(os.fstat(holder), os.fstat(parent)) and target[-1] == name:
                return
            _make_way(parent, name)
            os.link(target[-1], name, src_dir_fd=holder, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(holder)


def _write_file(parent: int, name: str, member: tarfile.TarInfo, stream: _Stream) -> None:
    if member.size < 0:
        raise ArchiveError(f"{_shown(member.name)} has a size below nothing")
    _make_way(parent, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=parent), "wb") as file:
        left = member.size
        while left > CHUNK:
            file.write(stream.whole(CHUNK))
            left -= CHUNK
        file.write(stream.whole(left))
        file.flush()
        os.fchmod(file.fileno(), (member.mode & 0o755) | 0o644)
        with contextlib.suppress(OSError, OverflowError, ValueError):  # a time that the file system does not know
            os.utime(file.fileno(), (member.mtime, member.mtime))


def _make_way(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _parts(name: str) -> list[str]:
    """Split a member's name. ArchiveError for one that is absolute, leads upwards or is longer than a path can be."""
    if name.startswith("/"):
        raise ArchiveError(f"{_shown(name)} is an absolute name")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    lengths = [len(os.fsencode(part)) for part in parts]
    if len(os.fsencode(name)) > NAME_BYTES or max(lengths, default=0) > COMPONENT_BYTES or len(parts) > DEPTH:
        raise ArchiveError(f"{_shown(name)} is too long a name")
    if ".." in parts:
        raise ArchiveError(f"{_shown(name)} leads upwards")
    if "\0" in name:
        raise ArchiveError(f"{_shown(name)} is no name of a file")
    return parts


def _check_target(member: tarfile.TarInfo, parts: list[str]) -> None:
    """Check that a symbolic link leads to a place below the top, whatever other links lie on the way.

    `..` may stand at the beginning only, where what it leaves are folders that were opened as such, and not more often
    than the link lies deep; behind that every link on the way is one that was checked likewise.
    """
    target = member.linkname.split("/")
    ups = 0
    while ups < len(target) and target[ups] in {"", ".", ".."}:
        ups += 1
    upwards = target[:ups].count("..")
    if member.linkname.startswith("/") or upwards >= len(parts) or ".." in target[ups:]:
        raise ArchiveError(
            f"{_shown(member.name)} is a link that leads, or could lead, outside: {_shown(member.linkname)}"
        )
    if not member.linkname or "\0" in member.linkname or len(os.fsencode(member.linkname)) >= NAME_BYTES:
        raise ArchiveError(f"{_shown(member.name)} is a link to no name of a file")


def _shown(name: str) -> str:
    text = ascii(name)
    return text if len(text) <= 200 else f"{text[:200]}...'"
