"""The object store: index rows and blob files as one thing. S3's operations and the jobs both stand on it.

Bytes are written before their row and removed after it: at every moment a row's bytes are whole. Index functions run in
the caller's transaction (`index.py`); functions that move bytes block and belong in a thread.
"""

from __future__ import annotations

import hashlib
import io
import os
from typing import IO, TYPE_CHECKING

from backends.core import errors
from backends.core.objects import blobs as blob_files
from backends.core.objects import role_access
from backends.core.objects.blobs import Blobs, BlobWriter
from backends.core.objects.index import Index
from backends.core.objects.rows import Content, StoredObject

if TYPE_CHECKING:
    from pathlib import Path

    from backends.core.types import Context

INLINE_BYTES = 16 * 1024
CHUNK_BYTES = 1 << 20


def parse_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` (or the https form of it); raise ValidationException for anything else."""
    if uri.startswith("s3://"):
        bucket, _, key = uri[5:].partition("/")
    elif uri.startswith("https://"):
        host, _, path = uri[8:].partition("/")
        name, dot, _ = host.partition(".s3")
        bucket, key = (name, path) if dot else (path.partition("/")[0], path.partition("/")[2])
    else:
        bucket, key = "", ""
    if not bucket:
        raise errors.validation(f"{uri!r} is not an S3 URI.")
    return bucket, key


class ObjectStore(Index):
    """Blobs and index of one installation."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.blobs = Blobs(root, durable=durable)

    def store_bytes(self, content: bytes) -> Content:
        """Store bytes: inline when small."""
        if len(content) <= INLINE_BYTES:
            return Content(len(content), hashlib.md5(content, usedforsecurity=False).hexdigest(), inline=content)
        writer = self.blobs.writer()
        try:
            writer.write(content)
            return content_of(writer)
        finally:
            writer.abandon()

    def copy_content(self, stored: StoredObject) -> Content:
        """Duplicate an object's bytes: a reflink where the file system has them; blocks."""
        if stored.blob is None:
            return Content(stored.size, stored.etag, inline=stored.inline)
        copied = self.blobs.temporary()
        blob_files.copy(self.blobs.path(stored.blob), copied)
        return Content(stored.size, stored.etag, blob=self.blobs.adopt(copied))

    def store_file(self, path: Path, *, move: bool = False) -> Content:
        """Store a file's bytes; `move` takes the file itself where it lies on the same file system."""
        size = path.stat().st_size
        if size <= INLINE_BYTES:
            content = self.store_bytes(path.read_bytes())
            if move:
                path.unlink()
            return content
        if not move:
            with path.open("rb") as file:
                return self._store_copy(file)
        return self._adopt(path)

    def store_open_file(self, file: IO[bytes]) -> Content:
        """Store an open file's bytes: those of the size it has now, zeros for what it loses meanwhile."""
        size = os.fstat(file.fileno()).st_size
        if size <= INLINE_BYTES:
            return self.store_bytes(file.read(size).ljust(size, b"\0"))
        return self._store_copy(file, pad=True)

    def _store_copy(self, file: IO[bytes], *, pad: bool = False) -> Content:
        copied = self.blobs.temporary()
        blob_files.copy_open(file, copied, pad=pad)
        return self._adopt(copied)

    def _adopt(self, path: Path) -> Content:
        with path.open("rb") as file:
            etag = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            size = os.fstat(file.fileno()).st_size
        return Content(size, etag, blob=self.blobs.adopt(path))

    def put_file(
        self,
        cx: Context,
        bucket: str,
        key: str,
        path: Path,
        *,
        move: bool = False,
        content_type: str = "binary/octet-stream",
    ) -> StoredObject:
        """Store a file as an object; blocks, opens its own transaction."""
        content = self.store_file(path, move=move)
        return cx.write(lambda inside: self._put(inside, bucket, key, content, content_type))

    def put_open_file(self, cx: Context, bucket: str, key: str, file: IO[bytes]) -> StoredObject:
        """Store an open file that others may still write to, at the size it has now; blocks, opens its own transaction."""
        content = self.store_open_file(file)
        return cx.write(lambda inside: self._put(inside, bucket, key, content, "binary/octet-stream"))

    def put_bytes(
        self, cx: Context, bucket: str, key: str, data: bytes, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        """Store bytes as an object; blocks, opens its own transaction."""
        content = self.store_bytes(data)
        return cx.write(lambda inside: self._put(inside, bucket, key, content, content_type))

    def _put(self, cx: Context, bucket: str, key: str, content: Content, content_type: str) -> StoredObject:
        role_access.check(cx, bucket, "s3:PutObject", key)
        return self.record(cx, bucket, key, content, {"ContentType": content_type})

    def open(self, stored: StoredObject) -> IO[bytes]:
        """Open an object's bytes; FileNotFoundError when it was deleted since."""
        if stored.blob is None:
            return io.BytesIO(stored.inline or b"")
        return self.blobs.path(stored.blob).open("rb")

    def read_bytes(self, stored: StoredObject) -> bytes:
        """Read an object whole; PermissionError where a customer's key encrypts it."""
        _check_readable(stored)
        with self.open(stored) as file:
            return file.read()

    def copy_to(self, stored: StoredObject, path: Path, *, link: bool = False) -> None:
        """Write an object's bytes to a new file. `link`: a hard link will do, since the reader cannot write to it.

        Raises PermissionError where a customer's key, which nobody but its client has, encrypts the object.
        """
        _check_readable(stored)
        if stored.blob is None:
            with path.open("xb") as file:
                file.write(stored.inline or b"")
        elif link:
            blob_files.link_or_copy(self.blobs.path(stored.blob), path)
        else:
            blob_files.copy(self.blobs.path(stored.blob), path)


def _check_readable(stored: StoredObject) -> None:
    if "Customer" in stored.info:
        raise PermissionError(f"s3://{stored.bucket}/{stored.key} is encrypted with a customer's key (SSE-C)")


def content_of(writer: BlobWriter) -> Content:
    """Finish a writer; give what it wrote."""
    return Content(writer.size, writer.md5.hexdigest(), blob=writer.finish())
