"""The object store: index rows and blob files as one thing. S3's operations and the jobs both stand on it.

Bytes are written before their row and removed after it: at every moment a row's bytes are whole. Index functions run in
the caller's transaction; functions that move bytes block and belong in a thread.
"""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, func, insert, select, update

from backends.core import errors
from backends.core.objects import blobs as blob_files
from backends.core.objects.blobs import Blobs, BlobWriter
from backends.core.objects.tables import buckets, garbage, objects, parts, uploads
from backends.core.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from backends.core.context import Context

INLINE_BYTES = 16 * 1024
CHUNK_BYTES = 1 << 20
_OBJECT = select(
    objects.c.bucket,
    objects.c.key,
    objects.c.size,
    objects.c.etag,
    objects.c.modified,
    objects.c.blob,
    objects.c.inline,
    objects.c.info,
    objects.c.tags,
).where(objects.c.bucket == bindparam("bucket"), objects.c.is_latest.is_(True), objects.c.is_delete_marker.is_(False))
_HEAD = Prepared(_OBJECT.where(objects.c.key == bindparam("key")))
_BUCKET = Prepared(
    select(buckets.c.name, buckets.c.account, buckets.c.region, buckets.c.created).where(
        buckets.c.name == bindparam("name")
    )
)
_INSERT = Prepared(
    insert(objects),
    (
        "bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "etag", "modified", "blob", "inline",
        "info", "tags",
    ),
)  # fmt: skip
_DELETE = Prepared(
    delete(objects)
    .where(
        objects.c.bucket == bindparam("in_bucket"),
        objects.c.key == bindparam("of_key"),
        objects.c.version_id == bindparam("version"),
    )
    .returning(objects.c.blob)
)
_SUMMARY = select(objects.c.key, objects.c.size, objects.c.etag, objects.c.modified, objects.c.info).where(
    objects.c.bucket == bindparam("bucket"), objects.c.is_latest.is_(True), objects.c.is_delete_marker.is_(False)
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket; names are global, with an owner and a region."""

    name: str
    account: str
    region: str
    created: float


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are stored but not yet named by a row: inline, or a blob file."""

    size: int
    etag: str
    blob: str | None = None
    inline: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object. `info` holds content headers (AWS's member names), `Metadata`, checksums and part sizes."""

    bucket: str
    key: str
    size: int
    etag: str
    modified: float
    blob: str | None
    inline: bytes | None
    info: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Summary(NamedTuple):
    """What a listing tells about an object. A tuple: a page has a thousand of them."""

    key: str
    size: int
    etag: str
    modified: float
    info: dict[str, Any]


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


class ObjectStore:
    """Blobs and index of one installation."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.blobs = Blobs(root, durable=durable)

    def bucket(self, cx: Context, name: str) -> Bucket | None:
        """Find a bucket, whoever owns it."""
        row = _BUCKET.row(cx.transaction, {"name": name})
        return Bucket(*row) if row is not None else None

    def is_own(self, cx: Context, name: str) -> bool:
        """Tell whether a bucket is there and the caller's account owns it: jobs touch no other account's objects."""
        found = self.bucket(cx, name)
        return found is not None and found.account == cx.account

    def head(self, cx: Context, bucket: str, key: str) -> StoredObject | None:
        """Find an object's current version."""
        row = _HEAD.row(cx.transaction, {"bucket": bucket, "key": key})
        return stored_object(row) if row is not None else None

    def list_keys(self, cx: Context, bucket: str, prefix: str, limit: int | None = None) -> list[StoredObject]:
        """List the objects under a prefix in the order of their keys."""
        query = _OBJECT.where(*within(prefix)).order_by(objects.c.key).limit(limit)
        return [stored_object(row) for row in cx.db.execute(query, {"bucket": bucket})]

    def summaries(
        self, cx: Context, bucket: str, prefix: str, after: str, limit: int, *, included: bool = False
    ) -> list[Summary]:
        """List under a prefix beyond the key `after` (from it on where `included`), without the objects' bytes."""
        query = _SUMMARY.where(*within(prefix))
        if after > prefix or (after == prefix and not included):
            query = query.where(objects.c.key >= after if included else objects.c.key > after)
        rows = cx.db.execute(query.order_by(objects.c.key).limit(limit), {"bucket": bucket})
        return [
            Summary(key, size, etag, modified, orjson.loads(info))
            for key, size, etag, modified, info in rows.tuples().all()
        ]

    def lock_bucket(self, cx: Context, bucket: str) -> None:
        """Hold off other writers of the bucket until the transaction ends; SQLite has but one writer anyway."""
        if not cx.kernel.db.is_sqlite:
            cx.db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"s3 {bucket}", 0))))

    def record(
        self,
        cx: Context,
        bucket: str,
        key: str,
        content: Content,
        info: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> StoredObject:
        """Name stored bytes by a key, in the running transaction; what the key named before becomes garbage."""
        self.lock_bucket(cx, bucket)
        self.delete(cx, bucket, key)
        modified = cx.clock.now()
        row = {
            "bucket": bucket,
            "key": key,
            "version_id": "null",
            "is_latest": True,
            "is_delete_marker": False,
            "size": content.size,
            "etag": content.etag,
            "modified": modified,
            "blob": content.blob,
            "inline": content.inline,
            "info": orjson.dumps(info or {}),
            "tags": orjson.dumps(tags) if tags else None,
        }
        _INSERT.run(cx.transaction, row)
        return StoredObject(
            bucket,
            key,
            content.size,
            content.etag,
            modified,
            content.blob,
            content.inline,
            info or {},
            tags or {},
        )

    def delete(self, cx: Context, bucket: str, key: str) -> bool:
        """Remove an object, in the running transaction; tell whether there was one."""
        row = _DELETE.row(cx.transaction, {"in_bucket": bucket, "of_key": key, "version": "null"})
        if row is not None and row[0] is not None:
            self.discard(cx, [row[0]])
        return row is not None

    def discard(self, cx: Context, names: Iterable[str]) -> None:
        """Hand blobs that no row names any more to the garbage loop."""
        rows = [{"blob": name, "since": time.time()} for name in names]
        if rows:
            cx.db.execute(insert(garbage), rows)

    def forget_upload(self, cx: Context, upload_id: str, keeping: str | None = None) -> None:
        """Remove a multipart upload and its parts, but for the blob `keeping`."""
        gone = cx.db.execute(delete(parts).where(parts.c.upload_id == upload_id).returning(parts.c.blob)).scalars()
        self.discard(cx, [blob for blob in gone if blob != keeping])
        cx.db.execute(delete(uploads).where(uploads.c.upload_id == upload_id))

    def set_tags(self, cx: Context, stored: StoredObject, tags: dict[str, str]) -> None:
        """Replace an object's tags."""
        mine = (objects.c.bucket == stored.bucket) & (objects.c.key == stored.key) & objects.c.is_latest.is_(True)
        cx.db.execute(update(objects).where(mine), {"tags": orjson.dumps(tags) if tags else None})

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
            copied = self.blobs.temporary()
            blob_files.copy(path, copied)
            path = copied
        with path.open("rb") as file:
            etag = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
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

    def put_bytes(
        self, cx: Context, bucket: str, key: str, data: bytes, content_type: str = "binary/octet-stream"
    ) -> StoredObject:
        """Store bytes as an object; blocks, opens its own transaction."""
        content = self.store_bytes(data)
        return cx.write(lambda inside: self._put(inside, bucket, key, content, content_type))

    def _put(self, cx: Context, bucket: str, key: str, content: Content, content_type: str) -> StoredObject:
        if not self.is_own(cx, bucket):
            raise errors.AwsError("NoSuchBucket", f"The bucket {bucket} does not exist any more.", status=404)
        return self.record(cx, bucket, key, content, {"ContentType": content_type})

    def open(self, stored: StoredObject) -> IO[bytes]:
        """Open an object's bytes; FileNotFoundError when it was deleted since."""
        if stored.blob is None:
            return io.BytesIO(stored.inline or b"")
        return self.blobs.path(stored.blob).open("rb")

    def read_bytes(self, stored: StoredObject) -> bytes:
        """Read an object whole."""
        with self.open(stored) as file:
            return file.read()

    def copy_to(self, stored: StoredObject, path: Path, *, link: bool = False) -> None:
        """Write an object's bytes to a new file. `link`: a hard link will do, since the reader cannot write to it."""
        if stored.blob is None:
            with path.open("xb") as file:
                file.write(stored.inline or b"")
        elif link:
            blob_files.link_or_copy(self.blobs.path(stored.blob), path)
        else:
            blob_files.copy(self.blobs.path(stored.blob), path)


def content_of(writer: BlobWriter) -> Content:
    """Finish a writer; give what it wrote."""
    return Content(writer.size, writer.md5.hexdigest(), blob=writer.finish())


def within(prefix: str, column: Any = objects.c.key) -> list[Any]:
    """Give the conditions of a key prefix, as a range that the index serves."""
    if not prefix:
        return []
    conditions = [column >= prefix]
    last = prefix.rstrip("\U0010ffff")
    if last:
        following = ord(last[-1]) + 1
        if 0xD800 <= following <= 0xDFFF:  # surrogates are no characters
            following = 0xE000
        conditions.append(column < last[:-1] + chr(following))
    return conditions


def stored_object(row: Any) -> StoredObject:
    """Read an index row of `_OBJECT`'s columns."""
    bucket, key, size, etag, modified, blob, inline, info, tags = row
    return StoredObject(
        bucket, key, size, etag, modified, blob, inline, orjson.loads(info), orjson.loads(tags) if tags else {}
    )
