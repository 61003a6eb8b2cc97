"""Bring home what a job left: directories of its hosts become archives or objects in S3.

What a job wrote is not trusted: links are never followed out of its directories.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from backends.core.objects import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backends.core.context import Context

GZIP_LEVEL = 6


def files_below(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield (path, name relative to `folder`) of the regular files of a directory that lies within `root`."""
    if not folder.is_dir() or not folder.resolve().is_relative_to(root.resolve()):
        return
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = folder.__class__(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path, str(path.relative_to(folder))


def pack(folders: list[tuple[Path, Path]], target: Path, check: Callable[[], None]) -> bool:
    """Make one tar.gz of several (folder, root) with members relative to each folder; False when they hold nothing.

    Where two hosts wrote the same name, the first one's file is kept.
    """
    seen: set[str] = set()
    with tarfile.open(target, "w:gz", compresslevel=GZIP_LEVEL) as archive:
        for folder, root in folders:
            for path, name in _members(folder, root):
                check()
                if name not in seen:
                    seen.add(name)
                    archive.add(path, arcname=name, recursive=False)
    return bool(seen)


def _members(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield everything below a folder, links as links and directories too: an archive keeps them as they are."""
    if not folder.is_dir() or not folder.resolve().is_relative_to(root.resolve()):
        return
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted((*folders, *names)):
            path = folder.__class__(directory, name)
            yield path, str(path.relative_to(folder))


def upload_archive(
    cx: Context, folders: list[tuple[Path, Path]], uri: str, scratch: Path, check: Callable[[], None]
) -> bool:
    """Pack folders and store the archive at an S3 URI; False, and nothing stored, when they are empty."""
    archive = scratch / "archive.tar.gz"
    archive.unlink(missing_ok=True)
    if not pack(folders, archive, check):
        archive.unlink()
        return False
    cx.objects.put_file(cx, *parse_uri(uri), archive, move=True, content_type="application/x-tar")
    return True


def upload_files(cx: Context, folders: list[tuple[Path, Path]], prefix: str, check: Callable[[], None]) -> bool:
    """Store every file of the folders below an S3 prefix; tell whether there were any."""
    bucket, base = parse_uri(prefix)
    any_found = False
    for folder, root in folders:
        for path, name in files_below(folder, root):
            check()
            # A file name may be any bytes; a key is text.
            key = f"{base}{name}".encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            cx.objects.put_file(cx, bucket, key, path)
            any_found = True
    return any_found


def read_text(path: Path, root: Path, limit: int) -> str:
    """Read the beginning of a text a job left, or nothing when it left none."""
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        return ""
    with path.open(encoding="utf-8", errors="replace") as text:
        return text.read(limit)
