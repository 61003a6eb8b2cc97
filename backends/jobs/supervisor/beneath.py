# ruff: noqa: PTH208 - pathlib would cost every supervisor 8 ms of its start
"""Files below a held directory whose names a job owns: opened component by component, never through a link.

Standard library only, since the supervisor uses it too. A name is a relative path; `..`, empty and absolute ones are
refused. No component is followed and none leads upwards, which is what `openat2(RESOLVE_BENEATH |
RESOLVE_NO_SYMLINKS)` promises, without `ctypes` (2.5 ms of a supervisor's start) and on every system. The kind of a
file is known before an open has any effect: a FIFO hangs nobody and a device is never opened.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATH_MAX = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = getattr(os, "O_PATH", 0)


class RefusedError(OSError):
    """A name that leads elsewhere, or a file of another kind than was asked for."""


def root(path: str) -> int:
    """Open a directory whose parents are the server's own; its last component must be no link."""
    return os.open(path, _DIRECTORY)


def directory(at: int, name: str) -> int:
    """Open a directory below `at` ("" is `at` itself)."""
    fd = os.dup(at)
    for part in _parts(name) if name else ():
        try:
            deeper = os.open(part, _DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
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


def file(at: int, name: str, flags: int = os.O_RDONLY, kind: Callable[[int], bool] = stat.S_ISREG) -> int:
    """Open a file of the given kind below `at`. RefusedError for any other kind, a link among them."""
    above, _, last = name.rpartition("/")
    parent = directory(at, above)
    try:
        return _open(parent, _parts(last)[0], flags | os.O_CLOEXEC, kind)
    finally:
        os.close(parent)


def _open(parent: int, name: str, flags: int, kind: Callable[[int], bool]) -> int:
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
        return os.open(f"/proc/self/fd/{handle}", flags)  # this very file, whatever has its name now
    finally:
        os.close(handle)


def walk(at: int, name: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below a directory as (path relative to it, lstat), sorted, each folder before what it holds.

    Names are listed from descriptors; at most two are open at a time. Left out: what vanishes meanwhile, and paths
    longer than PATH_MAX, which no program can name.
    """
    base = directory(at, name)
    try:
        todo = [""]
        while todo:
            above = todo.pop()
            folders = []
            for path, status in _entries(base, above):
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    folders.append(path)
            todo += reversed(folders)
    finally:
        os.close(base)


def _entries(base: int, above: str) -> list[tuple[str, os.stat_result]]:
    try:
        fd = directory(base, above)
    except OSError:  # it was swapped or removed, or belongs to somebody who shut it
        return []
    found = []
    try:
        for entry in sorted(os.listdir(fd)):
            path = f"{above}/{entry}" if above else entry
            if len(os.fsencode(path)) < PATH_MAX:
                with contextlib.suppress(OSError):
                    found.append((path, os.stat(entry, dir_fd=fd, follow_symlinks=False)))
    except OSError:
        pass
    finally:
        os.close(fd)
    return found


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise RefusedError(f"{name!r} is no path below a directory")
    return parts
