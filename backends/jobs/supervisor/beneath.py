# ruff: noqa: PTH100, PTH101, PTH208 - pathlib would cost every supervisor 8 ms of its start
"""Files below a held directory whose names a job owns: opened component by component, never through a link.

Standard library only, since the supervisor uses it too. A name is a relative path; `..`, empty and absolute ones are
refused. No component is followed and none leads upwards, which is what `openat2(RESOLVE_BENEATH |
RESOLVE_NO_SYMLINKS)` promises, without `ctypes` (2.5 ms of a supervisor's start) and on every system. The kind of a
file is known before an open has any effect: a FIFO hangs nobody and a device is never opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATH_MAX = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = getattr(os, "O_PATH", 0)
_HELD = 64


class RefusedError(OSError):
    """A name that leads elsewhere, or a file of another kind than was asked for."""


def root(path: str) -> int:
    """Open a directory whose parents are the server's own; its last component must be no link."""
    return os.open(path, _DIRECTORY)


def directory(at: int, name: str, *, force: bool = False) -> int:
    """Open a directory below `at` ("" is `at` itself). `force`: whoever owns it is let in, whatever its mode says."""
    fd = os.dup(at)
    for part in _parts(name) if name else ():
        try:
            deeper = _enter(fd, part) if force else os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _enter(at: int, part: str) -> int:
    """Open a directory, and let its owner in where its mode does not."""
    try:
        fd = os.open(part, _DIRECTORY, dir_fd=at)
    except PermissionError:
        if not _HANDLE:
            os.chmod(part, 0o700, dir_fd=at, follow_symlinks=False)
            return os.open(part, _DIRECTORY, dir_fd=at)
        handle = os.open(part, _HANDLE | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(handle)
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & 0o700 != 0o700:
        with contextlib.suppress(OSError):  # somebody else's
            os.fchmod(fd, mode | 0o700)
    return fd


def make_directories(at: int, name: str, mode: int) -> int:
    """Make a directory and those above it, each with exactly `mode`; open it."""
    fd = os.dup(at)
    for part in _parts(name):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=fd)
            deeper = os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
        os.fchmod(fd, mode)
    return fd


def file(
    at: int,
    name: str,
    flags: int = os.O_RDONLY,
    kind: Callable[[int], bool] = stat.S_ISREG,
    *,
    force: bool = False,
) -> int:
    """Open a file of the given kind below `at`. RefusedError for any other kind, a link among them."""
    above, _, last = name.rpartition("/")
    parent = directory(at, above, force=force)
    try:
        return _open(parent, _parts(last)[0], flags | os.O_CLOEXEC, kind, force)
    finally:
        os.close(parent)


def _open(parent: int, name: str, flags: int, kind: Callable[[int], bool], force: bool) -> int:
    if not _HANDLE:  # no handles on this system: look, open, look again
        if not kind(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise RefusedError(f"{name!r} is a file of another kind")
        fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)
        if kind(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise RefusedError(f"{name!r} is a file of another kind")
    handle = os.open(name, _HANDLE | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not kind(os.fstat(handle).st_mode):
            raise RefusedError(f"{name!r} is a file of another kind")
        # This very file, whatever has its name now.
        try:
            return os.open(f"/proc/self/fd/{handle}", flags)
        except PermissionError:
            if not force:
                raise
            os.chmod(f"/proc/self/fd/{handle}", 0o600)
            return os.open(f"/proc/self/fd/{handle}", flags)
    finally:
        os.close(handle)


def link(at: int, name: str) -> str:
    """Read where a symbolic link below `at` points."""
    above, _, last = name.rpartition("/")
    parent = directory(at, above)
    try:
        return os.readlink(_parts(last)[0], dir_fd=parent)
    finally:
        os.close(parent)


def walk(at: int, name: str = "", *, force: bool = False) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below a directory as (path relative to it, lstat), sorted, each folder before what it holds.

    Names are listed from descriptors. Left out: what vanishes meanwhile, and paths longer than PATH_MAX, which no
    program can name.
    """
    for _, _, entries in folders(at, name, force=force):
        yield from entries


def folders(
    at: int, name: str = "", *, force: bool = False
) -> Iterator[tuple[str, int, list[tuple[str, os.stat_result]]]]:
    """Yield each folder from a directory down as (path relative to it, descriptor while it is the one, what it holds).

    At most _HELD folders are open at a time, so that each is opened from the one above it: a tree costs its entries.
    """
    base = directory(at, name, force=force)
    held: list[tuple[str, int]] = []
    try:
        todo = [""]
        while todo:
            above = todo.pop()
            try:
                fd = _descend(base, held, above, force)
            except OSError:  # it was swapped or removed, or belongs to somebody who shut it
                continue
            entries = _entries(fd, above)
            yield above, fd, entries
            todo += reversed([path for path, status in entries if stat.S_ISDIR(status.st_mode)])
    finally:
        for _, fd in held:
            os.close(fd)
        os.close(base)


def _descend(base: int, held: list[tuple[str, int]], path: str, force: bool) -> int:
    """Open a folder from the nearest that is held, and hold it and what lies between: the deepest _HELD of them."""
    while held and path != held[-1][0] and not path.startswith(f"{held[-1][0]}/"):
        os.close(held.pop()[1])
    above, fd = held[-1] if held else ("", base)
    rest = path[len(above) :].lstrip("/")
    for part in _parts(rest) if rest else ():
        fd = _enter(fd, part) if force else os.open(part, _DIRECTORY, dir_fd=fd)
        above = f"{above}/{part}" if above else part
        held.append((above, fd))
        if len(held) > _HELD:
            os.close(held.pop(0)[1])
    return fd


def _entries(fd: int, above: str) -> list[tuple[str, os.stat_result]]:
    entries = []
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir(fd)):
            path = f"{above}/{entry}" if above else entry
            if len(os.fsencode(path)) < PATH_MAX:
                with contextlib.suppress(OSError):
                    entries.append((path, os.stat(entry, dir_fd=fd, follow_symlinks=False)))
    return entries


def remove(path: str | os.PathLike[str]) -> None:
    """Remove whatever has this path, and all below it, at any depth; no link is followed. Idempotent.

    The path itself is the server's own. A folder inside a folder is moved up to the top first, so neither stack nor
    descriptors grow with the depth. What belongs to somebody else, or is busy, stays.
    """
    above, name = os.path.split(os.path.abspath(path))
    try:
        at = os.open(above, _DIRECTORY & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        if not _is_removed(at, name):
            top = _enter(at, name)
            try:
                _empty(top)
            finally:
                os.close(top)
            os.rmdir(name, dir_fd=at)
    except OSError:
        pass
    finally:
        os.close(at)


def _empty(top: int) -> None:
    moved, kept = 0, set[str]()
    prefix = f".removed-{os.urandom(8).hex()}-"
    while names := [name for name in os.listdir(top) if name not in kept]:
        for name in names:
            try:
                if _is_removed(top, name):
                    continue
                folder = _enter(top, name)
            except OSError:
                kept.add(name)
                continue
            try:
                for inner in os.listdir(folder):
                    with contextlib.suppress(OSError):
                        if not _is_removed(folder, inner):
                            os.close(_enter(folder, inner))  # only a folder that may be written to can be moved
                            os.rename(inner, f"{prefix}{moved}", src_dir_fd=folder, dst_dir_fd=top)
                            moved += 1
                os.rmdir(name, dir_fd=top)
            except OSError:
                kept.add(name)
            finally:
                os.close(folder)


def _is_removed(at: int, name: str) -> bool:
    """Remove a file or an empty folder; False for a folder that holds something."""
    try:
        os.unlink(name, dir_fd=at)
    except (IsADirectoryError, PermissionError):  # POSIX has EPERM where Linux has EISDIR
        try:
            os.rmdir(name, dir_fd=at)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.EACCES}:
                raise
            return False
    except FileNotFoundError:
        return True
    return True


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise RefusedError(f"{name!r} is no path below a directory")
    return parts
