"""The index of S3 in the running transaction: buckets, the versions of objects, uploads. No bytes are moved here."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, func, insert, select, update

from backends.core import events
from backends.core.objects import rows
from backends.core.objects.rows import NULL, Bucket, Content, Removed, StoredObject, Summary, stored_object, within
from backends.core.objects.tables import buckets, garbage, objects, parts, uploads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.core.types import Context

EVENT = "S3Object"
"""The kind of event that tells of an object written or removed, where its bucket has notifications."""


class Index:
    """Reads and writes rows. A row names bytes that are whole: they are written before it and removed after it."""

    def bucket(self, cx: Context, name: str) -> Bucket | None:
        """Find a bucket, whoever owns it."""
        row = rows.BUCKET.row(cx.transaction, {"name": name})
        return rows.bucket_from(row) if row is not None else None

    def is_own(self, cx: Context, name: str) -> bool:
        """Return whether a bucket is there and the caller's account owns it: jobs touch no other account's objects."""
        bucket = self.bucket(cx, name)
        return bucket is not None and bucket.account == cx.account

    def configure(self, cx: Context, name: str, setting: str, document: Any) -> None:
        """Keep one setting of a bucket, by AWS's name; None removes it."""
        self.lock_bucket(cx, name)
        bucket = self.bucket(cx, name)
        if bucket is None:
            return
        settings = {key: value for key, value in bucket.settings.items() if key != setting}
        if document is not None:
            settings[setting] = document
        change = update(buckets).where(buckets.c.name == name)
        cx.db.execute(change, {"settings": orjson.dumps(settings) if settings else None})

    def head(self, cx: Context, bucket: str, key: str) -> StoredObject | None:
        """Find an object's current version; none where that is a delete marker."""
        row = rows.HEAD.row(cx.transaction, {"bucket": bucket, "key": key})
        return stored_object(row) if row is not None else None

    def version(self, cx: Context, bucket: str, key: str, version_id: str | None) -> StoredObject | None:
        """Find one version (None: the current one), be it an object or a delete marker."""
        named = {"bucket": bucket, "key": key}
        if version_id is None:
            row = rows.LATEST.row(cx.transaction, named)
        else:
            row = rows.VERSION.row(cx.transaction, {**named, "version": version_id})
        return stored_object(row) if row is not None else None

    def versions_of(self, cx: Context, bucket: str, key: str) -> list[StoredObject]:
        """List all that stands at a key, delete markers too."""
        return [stored_object(row) for row in cx.db.execute(rows.ANY_VERSION, {"bucket": bucket, "key": key})]

    def list_keys(self, cx: Context, bucket: str, prefix: str, limit: int | None = None) -> list[StoredObject]:
        """List the objects under a prefix in the order of their keys."""
        query = rows.OBJECT.where(*within(prefix)).order_by(objects.c.key).limit(limit)
        return [stored_object(row) for row in cx.db.execute(query, {"bucket": bucket})]

    def summaries(
        self, cx: Context, bucket: str, prefix: str, after: str, limit: int, *, included: bool = False
    ) -> Sequence[Summary]:
        """List under a prefix beyond the key `after` (from it on where `included`), without the objects' bytes."""
        values = {"bucket": bucket, "start": after, "limit": limit}
        if after < prefix:
            values["start"], included = prefix, True
        end = rows.end_of(prefix)
        if end is not None:
            values["end"] = end
        return rows.SUMMARIES[included, end is not None].rows(cx.transaction, values)

    def lock_bucket(self, cx: Context, bucket: str) -> None:
        """Hold off other writers of the bucket until the transaction ends; SQLite has but one writer anyway."""
        if not cx.kernel.db.is_sqlite:
            cx.db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"s3 {bucket}", 0))))

    def record(
        self,
        cx: Context,
        bucket: str | Bucket,
        key: str,
        content: Content,
        info: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        cause: str = "Put",
    ) -> StoredObject:
        """Name stored bytes by a key, in the running transaction. `bucket`: its name, or as this transaction found it.

        What the key named before becomes an older version, or garbage where the bucket keeps none. `cause`: Put, Post,
        Copy or CompleteMultipartUpload.
        """
        name = bucket if isinstance(bucket, str) else bucket.name
        self.lock_bucket(cx, name)
        # On PostgreSQL another may have changed its versioning before the lock was had.
        inside = bucket if not isinstance(bucket, str) and cx.kernel.db.is_sqlite else self.bucket(cx, name)
        versioning = inside.versioning if inside is not None else ""
        made = StoredObject(
            name, key, content.size, content.etag, cx.clock.now(), content.blob, content.inline, info or {},
            tags or {}, self._retire_current(cx, name, key, versioning) if versioning else NULL,
        )  # fmt: skip
        if versioning or not self._replace(cx, made):
            self._insert(cx, made)
        if inside is not None:
            self.notify(cx, inside, made, f"ObjectCreated:{cause}")
        return made

    def _retire_current(self, cx: Context, bucket: str, key: str, versioning: str) -> str:
        """Retire the current version as the bucket's versioning says; return the id of the one that comes."""
        if versioning != "Enabled":
            self._remove(cx, bucket, key, NULL)
        rows.NOT_LATEST.run(cx.transaction, {"in_bucket": bucket, "of_key": key})
        return f"{time.time_ns():016x}{secrets.token_hex(8)}" if versioning == "Enabled" else NULL

    def _replace(self, cx: Context, made: StoredObject) -> bool:
        """Write over the only version of a key, if there is one: no index changes for that, and one page in all."""
        named = {"in_bucket": made.bucket, "of_key": made.key, "version": NULL}
        before = rows.BLOB.row(cx.transaction, named)
        if before is None:
            return False
        if before[0] is not None:
            self.discard(cx, [before[0]])
        rows.REPLACE.run(cx.transaction, named | self._content(made))
        return True

    def _insert(self, cx: Context, made: StoredObject) -> None:
        row = {
            "bucket": made.bucket,
            "key": made.key,
            "version_id": made.version_id,
            "is_latest": True,
            "is_delete_marker": made.is_delete_marker,
        }
        rows.INSERT.run(cx.transaction, row | self._content(made))

    @staticmethod
    def _content(made: StoredObject) -> dict[str, Any]:
        return {
            "size": made.size,
            "etag": made.etag,
            "modified": made.modified,
            "blob": made.blob,
            "inline": made.inline,
            "info": orjson.dumps(made.info),
            "tags": orjson.dumps(made.tags) if made.tags else None,
        }

    def delete(
        self,
        cx: Context,
        bucket: str,
        key: str,
        version_id: str | None = None,
        cause: str = "ObjectRemoved",
    ) -> Removed:
        """Remove an object, in the running transaction: the version named, or the only one.

        Where versions are kept and none is named, a delete marker hides them. `cause`: ObjectRemoved or
        LifecycleExpiration.
        """
        self.lock_bucket(cx, bucket)
        inside = self.bucket(cx, bucket)
        if version_id is None and inside is not None and inside.versioning:
            made = StoredObject(
                bucket, key, 0, "", cx.clock.now(), None, None,
                version_id=self._retire_current(cx, bucket, key, inside.versioning), is_delete_marker=True,
            )  # fmt: skip
            self._insert(cx, made)
            self.notify(cx, inside, made, f"{cause}:DeleteMarkerCreated")
            return Removed(True, made.version_id, True)
        gone = self._remove(cx, bucket, key, version_id or NULL)
        if gone is None:
            return Removed(False, version_id or NULL)
        _, was_latest, was_marker = gone
        if was_latest and inside is not None and inside.versioning:
            self._promote(cx, bucket, key)
        if inside is not None:
            removed = StoredObject(bucket, key, 0, "", 0.0, None, None, version_id=version_id or NULL)
            self.notify(cx, inside, removed, f"{cause}:Delete")
        return Removed(True, version_id or NULL, bool(was_marker))

    def _remove(self, cx: Context, bucket: str, key: str, version_id: str) -> Any:
        named = {"in_bucket": bucket, "of_key": key, "version": version_id}
        row = rows.DELETE.row(cx.transaction, named)
        if row is not None and row[0] is not None:
            self.discard(cx, [row[0]])
        return row

    def _promote(self, cx: Context, bucket: str, key: str) -> None:
        """Make the newest version that is left the current one."""
        newest = select(func.max(objects.c.id)).where(objects.c.bucket == bucket, objects.c.key == key)
        cx.db.execute(update(objects).where(objects.c.id == newest.scalar_subquery()), {"is_latest": True})

    def notify(self, cx: Context, bucket: Bucket, stored: StoredObject, what: str) -> None:
        """Write an event about an object, if its bucket tells anybody. `what`: as S3 names it, without `s3:`."""
        if "NotificationConfiguration" not in bucket.settings:
            return
        detail = {
            "bucket": stored.bucket,
            "key": stored.key,
            "size": stored.size,
            "etag": stored.etag,
            "version": stored.version_id if bucket.versioning else None,
            "sequencer": f"{time.time_ns():018X}",
            "request": cx.request_id,
        }
        events.emit(cx, EVENT, f"arn:aws:s3:::{stored.bucket}/{stored.key}", "", what, detail=detail)

    def discard(self, cx: Context, names: Iterable[str]) -> None:
        """Queue blobs that no row names any more for the garbage loop."""
        gone = [{"blob": name, "since": time.time()} for name in names]
        if gone:
            cx.db.execute(insert(garbage), gone)

    def forget_upload(self, cx: Context, upload_id: str, keeping: str | None = None) -> None:
        """Remove a multipart upload and its parts, but for the blob `keeping`."""
        gone = cx.db.execute(delete(parts).where(parts.c.upload_id == upload_id).returning(parts.c.blob)).scalars()
        self.discard(cx, [blob for blob in gone if blob != keeping])
        cx.db.execute(delete(uploads).where(uploads.c.upload_id == upload_id))

    def set_tags(self, cx: Context, stored: StoredObject, tags: dict[str, str]) -> None:
        """Replace the tags of one version."""
        is_version = (
            (objects.c.bucket == stored.bucket)
            & (objects.c.key == stored.key)
            & (objects.c.version_id == stored.version_id)
        )
        cx.db.execute(update(objects).where(is_version), {"tags": orjson.dumps(tags) if tags else None})
