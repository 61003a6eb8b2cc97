"""What the index holds, as dataclasses, and the statements that read and write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Integer, bindparam, delete, insert, null, select, update

from backends.core.objects.tables import buckets, objects
from backends.core.prepared import Prepared

NULL = "null"
"""The version id of what was written while its bucket was not versioned, or suspended."""

COLUMNS = (
    objects.c.bucket,
    objects.c.key,
    objects.c.size,
    objects.c.etag,
    objects.c.modified,
    objects.c.blob,
    objects.c.inline,
    objects.c.info,
    objects.c.tags,
    objects.c.version_id,
    objects.c.is_latest,
    objects.c.is_delete_marker,
)
LISTED = tuple(column if column.name != "inline" else null().label("inline") for column in COLUMNS)
"""The same without the bytes of small objects."""

OBJECT = select(*COLUMNS).where(
    objects.c.bucket == bindparam("bucket"), objects.c.is_latest.is_(True), objects.c.is_delete_marker.is_(False)
)
ANY_VERSION = select(*COLUMNS).where(objects.c.bucket == bindparam("bucket"), objects.c.key == bindparam("key"))
HEAD = Prepared(OBJECT.where(objects.c.key == bindparam("key")))
VERSION = Prepared(
    select(*COLUMNS).where(
        objects.c.bucket == bindparam("bucket"),
        objects.c.key == bindparam("key"),
        objects.c.version_id == bindparam("version"),
    )
)
LATEST = Prepared(
    select(*COLUMNS).where(
        objects.c.bucket == bindparam("bucket"), objects.c.key == bindparam("key"), objects.c.is_latest.is_(True)
    )
)
SUMMARY = (
    OBJECT.with_only_columns(objects.c.key, objects.c.size, objects.c.etag, objects.c.modified, objects.c.info)
    .order_by(objects.c.key)
    .limit(bindparam("limit", type_=Integer))
)
FROM, BEYOND = objects.c.key >= bindparam("start"), objects.c.key > bindparam("start")
SUMMARIES = {
    (included, bounded): Prepared(
        SUMMARY.where(FROM if included else BEYOND, *([objects.c.key < bindparam("end")] if bounded else []))
    )
    for included in (False, True)
    for bounded in (False, True)
}
"""A page of a listing: from the key `start` on, or beyond it; up to a key `end`, or all."""

BUCKET = Prepared(
    select(buckets.c.name, buckets.c.account, buckets.c.region, buckets.c.created, buckets.c.settings).where(
        buckets.c.name == bindparam("name")
    )
)
INSERT = Prepared(
    insert(objects),
    (
        "bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "etag", "modified", "blob", "inline",
        "info", "tags",
    ),
)  # fmt: skip
_NAMED = (
    (objects.c.bucket == bindparam("in_bucket"))
    & (objects.c.key == bindparam("of_key"))
    & (objects.c.version_id == bindparam("version"))
)
BLOB = Prepared(select(objects.c.blob).where(_NAMED))
REPLACE = Prepared(update(objects).where(_NAMED), ("size", "etag", "modified", "blob", "inline", "info", "tags"))
DELETE = Prepared(
    delete(objects).where(_NAMED).returning(objects.c.blob, objects.c.is_latest, objects.c.is_delete_marker)
)
NOT_LATEST = Prepared(
    update(objects)
    .where(
        objects.c.bucket == bindparam("in_bucket"),
        objects.c.key == bindparam("of_key"),
        objects.c.is_latest.is_(True),
    )
    .values(is_latest=False)
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket; names are global, with an owner and a region.

    `settings`: its configuration by AWS's name; shared, never to be changed in place.
    """

    name: str
    account: str
    region: str
    created: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def versioning(self) -> str:
        """`Enabled`, `Suspended`, or empty where it was never versioned."""
        return str(self.settings.get("Versioning", ""))


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are stored but not yet named by a row: inline, or a blob file."""

    size: int
    etag: str
    blob: str | None = None
    inline: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object. `info` holds content headers (AWS's member names), `Metadata`, checksums, part sizes."""

    bucket: str
    key: str
    size: int
    etag: str
    modified: float
    blob: str | None
    inline: bytes | None
    info: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    version_id: str = NULL
    is_latest: bool = True
    is_delete_marker: bool = False


Summary = tuple[str, int, str, float, bytes]
"""What a listing tells about an object: key, size, ETag, time, `info` as JSON. As the driver gives it: a page has 1,000."""


class Removed(NamedTuple):
    """What a deletion did: the version that went, or the delete marker that came (`null` in a suspended bucket)."""

    existed: bool
    version_id: str = NULL
    is_delete_marker: bool = False


def stored_object(row: Any) -> StoredObject:
    """Read an index row of `COLUMNS`."""
    bucket, key, size, etag, modified, blob, inline, info, tags, version_id, is_latest, is_delete_marker = row
    return StoredObject(
        bucket, key, size, etag, modified, blob, inline, orjson.loads(info), orjson.loads(tags) if tags else {},
        version_id, bool(is_latest), bool(is_delete_marker),
    )  # fmt: skip


def bucket_from(row: Any) -> Bucket:
    """Read an index row of `BUCKET`."""
    name, account, region, created, settings = row
    return Bucket(name, account, region, created, settings_from(bytes(settings)) if settings else {})


@lru_cache(256)
def settings_from(document: bytes) -> dict[str, Any]:
    """Read a bucket's configuration; every request to it asks, so what it was last is kept."""
    return dict(orjson.loads(document))


def within(prefix: str, column: Any = objects.c.key) -> list[Any]:
    """Return the conditions of a key prefix, as a range that the index serves."""
    if not prefix:
        return []
    end = end_of(prefix)
    return [column >= prefix] if end is None else [column >= prefix, column < end]


def end_of(prefix: str) -> str | None:
    """Return the least key above everything that begins with `prefix`; None where there is none."""
    last = prefix.rstrip("\U0010ffff")
    if not last:
        return None
    following = ord(last[-1]) + 1
    return last[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)  # surrogates are no characters
