"""Bring home what a job left: directories of its hosts become archives or objects in S3.

What a job wrote is not trusted, and in a plain process some of it may still be running: everything is opened below the
directory that is mounted into the job, through no link, and its kind and size are those of the open file.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from backends.core import errors
from backends.core.objects import parse_uri, role_access
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from backends.core.context import Context

GZIP_LEVEL = 6
KEY_BYTES = 1024


@dataclass(frozen=True)
class _Folder:
    """A folder of a host: a held descriptor of what is mounted into the job, and the folder's name below it."""

    at: int
    name: str

    def walk(self) -> Iterator[tuple[str, os.stat_result]]:
        with contextlib.suppress(OSError):  # the job removed it, or put something else in its place
            yield from beneath.walk(self.at, self.name, force=True)

    def open(self, path: str) -> IO[bytes] | None:
        """Open a regular file; None where there is none any more."""
        try:
            return os.fdopen(beneath.file(self.at, f"{self.name}/{path}", force=True), "rb")
        except OSError:
            return None

    def link(self, path: str) -> str | None:
        """Read a symbolic link; None where there is none any more."""
        try:
            return beneath.link(self.at, f"{self.name}/{path}")
        except OSError:
            return None


@contextlib.contextmanager
def _held(folder: Path, root: Path) -> Iterator[_Folder]:
    at = beneath.root(str(root))
    try:
        yield _Folder(at, str(folder.relative_to(root)))
    finally:
        os.close(at)


def pack(
    folders: list[tuple[Path, Path]], target: Path, check: Callable[[], None], limit_bytes: int | None = None
) -> bool:
    """Make one tar.gz of several (folder, root) with members relative to each folder; False when they hold nothing.

    Files, folders and links are stored as what they are, all as root's; FIFOs, sockets and devices are left out. Where
    two hosts wrote the same name, the first one's is kept. `limit_bytes`: what the files of one folder may hold
    together, holes counted. AwsError beyond it.
    """
    with tarfile.open(target, "w:gz", compresslevel=GZIP_LEVEL) as archive:
        packer = _Packer(archive, check, limit_bytes)
        for folder, root in folders:
            with _held(folder, root) as held:
                packer.add(held)
    return bool(packer.seen)


@dataclass
class _Packer:
    archive: tarfile.TarFile
    check: Callable[[], None]
    limit_bytes: int | None
    seen: set[str] = field(default_factory=set)

    def add(self, folder: _Folder) -> None:
        """Add all of one folder."""
        names: dict[tuple[int, int], str] = {}
        left = self.limit_bytes
        for path, status in folder.walk():
            self.check()
            if path in self.seen:
                continue
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime = stat.S_IMODE(status.st_mode), status.st_mtime
            if stat.S_ISREG(status.st_mode):
                file = folder.open(path)
                if file is None:
                    continue
                with file:
                    self._add_file(file, entry, names, left)
                left = left and left - entry.size
            elif stat.S_ISLNK(status.st_mode):
                target = folder.link(path)
                if target is None:
                    continue
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                self.archive.addfile(entry)
            elif stat.S_ISDIR(status.st_mode):
                entry.type = tarfile.DIRTYPE
                self.archive.addfile(entry)
            else:
                continue
            self.seen.add(path)

    def _add_file(
        self, file: IO[bytes], entry: tarfile.TarInfo, names: dict[tuple[int, int], str], left: int | None
    ) -> None:
        """Add a file, or another name of one that is there."""
        status = os.fstat(file.fileno())
        first = names.setdefault((status.st_dev, status.st_ino), entry.name)
        if first != entry.name:
            entry.type, entry.linkname = tarfile.LNKTYPE, first
            self.archive.addfile(entry)
            return
        if left is not None and status.st_size > left:
            raise errors.AwsError(
                "ClientError", f"the files of a host are larger than its volume of {(self.limit_bytes or 0) >> 30} GB"
            )
        entry.size = status.st_size
        self.archive.addfile(entry, _Exactly(file, self.check))  # type: ignore[arg-type]  # `read` is all it needs


@dataclass(frozen=True)
class _Exactly:
    """A file that may change while it is read: what it has lost is zeros, what it has gained is not asked for."""

    file: IO[bytes]
    check: Callable[[], None]

    def read(self, size: int) -> bytes:
        self.check()
        return self.file.read(size).ljust(size, b"\0")


def upload_archive(
    cx: Context,
    folders: list[tuple[Path, Path]],
    uri: str,
    scratch: Path,
    check: Callable[[], None],
    limit_bytes: int | None = None,
) -> bool:
    """Pack folders and store the archive at an S3 URI; False, and nothing stored, when they are empty."""
    archive = scratch / "archive.tar.gz"
    archive.unlink(missing_ok=True)
    if not pack(folders, archive, check, limit_bytes):
        archive.unlink()
        return False
    cx.objects.put_file(cx, *parse_uri(uri), archive, move=True, content_type="application/x-tar")
    return True


def upload_files(cx: Context, folders: list[tuple[Path, Path]], prefix: str, check: Callable[[], None]) -> bool:
    """Store every regular file of the folders below an S3 prefix; return whether there were any."""
    bucket, base = parse_uri(prefix)
    any_found = False
    for folder, root in folders:
        with _held(folder, root) as held:
            for path, status in held.walk():
                check()
                if not stat.S_ISREG(status.st_mode):
                    continue
                file = held.open(path)
                if file is None:
                    continue
                with file:
                    cx.objects.put_open_file(cx, bucket, key_of(f"{base}{path}"), file)
                any_found = True
    return any_found


def check_may_store(cx: Context, role: str, uri: str, member: str, tags: Mapping[str, str] | None = None) -> None:
    """Refuse a request whose role may not store at an S3 URI, which its `member` names. Unverified: AWS's wording."""
    bucket, key = parse_uri(uri)
    if not role_access.may(role_access.as_role(cx, role, tags), bucket, "s3:PutObject", key):
        raise errors.validation(f"The S3 bucket of {member}, {uri}, does not exist or is not this account's.")


def key_of(name: str) -> str:
    """Return the key for a file's name, which may be any bytes; a key is text. AwsError for one that is too long."""
    key = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(key.encode()) > KEY_BYTES:
        raise errors.AwsError("KeyTooLongError", f"Your key is too long: {key[:100]!r}...")
    return key


def read_text(path: Path, root: Path, limit: int) -> str:
    """Read the beginning of a text a job left, or nothing when it left none."""
    return read_bytes(path, root, limit * 4).decode("utf-8", "replace")[:limit]


def read_bytes(path: Path, root: Path, limit: int) -> bytes:
    """Read the beginning of a file a job left, or nothing when it left none."""
    try:
        with _held(path.parent, root) as held:
            file = held.open(path.name)
    except OSError:
        return b""
    if file is None:
        return b""
    with file:
        return file.read(limit)
