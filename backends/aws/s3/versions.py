"""Versioning: PutBucketVersioning, GetBucketVersioning, ListObjectVersions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, or_, select, true

from backends.aws.s3 import access, failures
from backends.aws.s3.listings import MOST_KEYS, beyond, page_size, rolled_up, speller
from backends.core import errors
from backends.core.objects.rows import LISTED, NULL, StoredObject, stored_object, within
from backends.core.objects.tables import objects
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context


@operation("PutBucketVersioning", service="s3")
def put_bucket_versioning(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Turn versioning on, or suspend it; a bucket never becomes unversioned again."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketVersioning")
    requested = request["VersioningConfiguration"]
    if requested.get("MFADelete") == "Enabled":
        raise errors.not_implemented("s3:PutBucketVersioning with MFADelete")
    if requested.get("Status") not in {"Enabled", "Suspended"}:
        raise failures.malformed_xml()
    cx.objects.configure(cx, bucket.name, "Versioning", requested["Status"])
    return {}


@operation("GetBucketVersioning", service="s3")
def get_bucket_versioning(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's versioning; nothing where it never had any."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketVersioning")
    return {"Status": bucket.versioning} if bucket.versioning else {}


@operation("ListObjectVersions", service="s3")
def list_object_versions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List versions and delete markers by key, the newest of each key first."""
    bucket = access.bucket_of(cx, request, "s3:ListBucketVersions")
    limit, key_marker = page_size(request), request.get("KeyMarker", "")
    version_marker = request.get("VersionIdMarker", "")
    if version_marker and not key_marker:
        text = "A version-id marker cannot be specified without a key marker."
        raise failures.invalid_argument(text, "version-id-marker", version_marker)
    versions, prefixes, truncated = _page(cx, bucket.name, request, limit)
    spell = speller(request)
    answer: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": spell(request.get("Prefix", "")),
        "KeyMarker": spell(key_marker),
        "VersionIdMarker": version_marker,
        "MaxKeys": min(request.get("MaxKeys", limit), MOST_KEYS),
        "IsTruncated": truncated,
    }
    if request.get("Delimiter"):
        answer["Delimiter"] = spell(request["Delimiter"])
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    for name, is_marker in (("Versions", False), ("DeleteMarkers", True)):
        kept = [
            _entry(version, spell(version.key), bucket.account)
            for version in versions
            if version.is_delete_marker == is_marker
        ]
        if kept:
            answer[name] = kept
    if prefixes:
        answer["CommonPrefixes"] = [{"Prefix": spell(prefix)} for prefix in prefixes]
    if truncated:
        answer |= _next(versions, prefixes, spell)
    return answer


def _next(versions: list[StoredObject], prefixes: list[str], spell: Any) -> dict[str, str]:
    """Return where the next page goes on: behind the last version, or behind a common prefix that came after it."""
    if prefixes and (not versions or prefixes[-1] > versions[-1].key):
        return {"NextKeyMarker": spell(prefixes[-1])}
    return {"NextKeyMarker": spell(versions[-1].key), "NextVersionIdMarker": versions[-1].version_id}


def _page(cx: Context, bucket: str, request: dict[str, Any], limit: int) -> tuple[list[StoredObject], list[str], bool]:
    """Return versions, common prefixes, and whether there is more."""
    prefix, delimiter, marker = request.get("Prefix", ""), request.get("Delimiter", ""), request.get("KeyMarker", "")
    versions: list[StoredObject] = []
    prefixes: list[str] = []
    if limit == 0:
        return versions, prefixes, False
    for row in _rows(cx, bucket, prefix, delimiter, marker, request.get("VersionIdMarker", ""), limit):
        rolled = rolled_up(row.key, prefix, delimiter)
        if rolled is not None and rolled in prefixes[-1:]:
            continue
        if len(versions) + len(prefixes) == limit:
            return versions, prefixes, True
        if rolled is None:
            versions.append(row)
        else:
            prefixes.append(rolled)
    return versions, prefixes, False


def _rows(
    cx: Context, bucket: str, prefix: str, delimiter: str, marker: str, version: str, limit: int
) -> Iterator[StoredObject]:
    """Read on in batches beyond the markers, jumping over what a delimiter rolls up."""
    rolled = rolled_up(marker, prefix, delimiter)
    start = _from(beyond(rolled)) if rolled is not None else _after(cx, bucket, marker, version)
    while True:
        query = select(objects.c.id, *LISTED).where(objects.c.bucket == bucket, *within(prefix), *start)
        batch = cx.db.execute(query.order_by(objects.c.key, objects.c.id.desc()).limit(limit + 1)).all()
        for row in batch:
            yield stored_object(row[1:])
        if len(batch) <= limit:
            return
        last = batch[-1]
        rolled = rolled_up(last.key, prefix, delimiter)
        if rolled is not None:
            start = _from(beyond(rolled))
        else:
            start = [or_(objects.c.key > last.key, and_(objects.c.key == last.key, objects.c.id < last.id))]


def _from(key: str) -> list[Any]:
    return [objects.c.key >= key]


def _after(cx: Context, bucket: str, marker: str, version: str) -> list[Any]:
    if not marker:
        return []
    if not version:
        return [objects.c.key > marker]
    named = (objects.c.bucket == bucket) & (objects.c.key == marker) & (objects.c.version_id == version)
    row_id = cx.db.execute(select(objects.c.id).where(named)).scalar()
    older: ColumnElement[bool]
    if row_id is not None:
        older = objects.c.id < row_id
    elif version == NULL:
        older = true()
    else:  # it was removed between two pages, as who empties a bucket does; ids begin with their time
        older = or_(objects.c.version_id < version, objects.c.version_id == NULL)
    return [or_(objects.c.key > marker, and_(objects.c.key == marker, older))]


def _entry(version: StoredObject, key: str, account: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Key": key,
        "VersionId": version.version_id,
        "IsLatest": version.is_latest,
        "LastModified": version.modified,
        "Owner": access.owner(account),
    }
    if version.is_delete_marker:
        return entry
    entry |= {
        "ETag": f'"{version.etag}"',
        "Size": version.size,
        "StorageClass": version.info.get("StorageClass", "STANDARD"),
    }
    kept = version.info.get("Checksums")
    if kept:
        entry |= {"ChecksumAlgorithm": list(kept), "ChecksumType": version.info.get("ChecksumType", "FULL_OBJECT")}
    return entry
