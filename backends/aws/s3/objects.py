"""Objects: PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import (
    access,
    checksums,
    conditions,
    customer_keys,
    encryption,
    failures,
    headers,
    lifecycle_rules,
    tags,
)
from backends.aws.s3.receive import BLOCK_BYTES, keep, receive
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import IO

    from backends.core.context import Context
    from backends.core.objects import Bucket, StoredObject

MOST_DELETED = 1000


@operation("PutObject", service="s3")
async def put_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an object; of several writers of one key the last to commit wins, whole."""
    return await put(cx, request, "Put")


async def put(cx: Context, request: dict[str, Any], cause: str) -> dict[str, Any]:
    """Store the body of a PutObject, or of a form (`cause`: Put, Post), as an object."""
    name = request["Key"]
    access.check_key(name)
    access.check_options(request)
    conditions.check_writable(request)
    tagging, key = tags.read_header(request.get("Tagging")), customer_keys.of_request(request)
    bucket = await cx.read(lambda inside: access.bucket_of(inside, request, "s3:PutObject"))  # before the body is read
    info = headers.info_of(bucket, request)
    received = await receive(cx, request, checksums.DEFAULT, key=key)
    received.keep_in(info, key)

    def record(inside: Context) -> tuple[Bucket, StoredObject]:
        within = access.bucket_of(inside, request, "s3:PutObject")
        if "IfMatch" in request or "IfNoneMatch" in request:
            inside.objects.lock_bucket(inside, within.name)
            conditions.check_write(inside.objects.head(inside, within.name, name), name, request)
        return within, inside.objects.record(inside, within, name, received.content, info, tagging, cause)

    within, made = await keep(cx, received.content, record)
    suspended = within.versioning == "Suspended"  # S3 says `null` of a copy, and when it is read, but not here
    return {
        "ETag": f'"{made.etag}"',
        **checksums.members(info),
        **encryption.members(info),
        **({} if suspended else access.version_member(within, made)),
        **lifecycle_rules.expiration_member(within, made),
    }


@operation("GetObject", service="s3")
async def get_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return an object's bytes: inline ones at once, others in blocks read by a thread."""
    encryption.check_reader(cx.headers)
    bucket, stored = await cx.read(lambda inside: access.object_of(inside, request, "s3:GetObject"))
    if access.is_anonymous(cx) and not headers.OVERRIDES.keys().isdisjoint(request):
        text = "Request specific response headers cannot be used for anonymous GET requests."
        raise failures.invalid_request(text)
    answer, first, after = _about(bucket, stored, request)
    key = customer_keys.of_reader(stored, request)
    reading = customer_keys.Reading(stored, key, first).update if key is not None else None
    if stored.blob is None:
        data = (stored.inline or b"")[first:after]
        answer["Body"] = data if reading is None else reading(data)
    else:
        answer["Body"] = await _body(cx, stored, first, after, reading)
    return answer


@operation("HeadObject", service="s3")
def head_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what GetObject would, without the bytes."""
    encryption.check_reader(cx.headers)
    bucket, stored = access.object_of(cx, request, "s3:GetObject")
    answer, _, _ = _about(bucket, stored, request)
    customer_keys.of_reader(stored, request)
    return answer


def _about(bucket: Bucket, stored: StoredObject, request: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """Return an answer's members without its bytes, the first byte and the one after the last."""
    conditions.check_read(stored, request)
    requested = conditions.byte_range(stored, request)
    first, after = requested or (0, stored.size)
    answer = headers.members(stored, request)
    answer |= access.version_member(bucket, stored)
    answer |= lifecycle_rules.expiration_member(bucket, stored)
    answer["ContentLength"] = after - first
    if requested is not None:
        answer["ContentRange"] = f"bytes {first}-{after - 1}/{stored.size}"
    return answer, first, after


async def _body(
    cx: Context, stored: StoredObject, first: int, after: int, reading: Callable[[bytes], bytes] | None
) -> bytes | AsyncIterator[bytes]:
    file = await asyncio.get_running_loop().run_in_executor(None, cx.objects.open, stored)
    if after - first > BLOCK_BYTES:
        return _blocks(file, first, after, reading)
    with file:
        data = await asyncio.get_running_loop().run_in_executor(None, os.pread, file.fileno(), after - first, first)
    return data if reading is None else reading(data)


async def _blocks(
    file: IO[bytes], first: int, after: int, decrypt: Callable[[bytes], bytes] | None
) -> AsyncIterator[bytes]:
    """Read one block ahead of the socket. The open file keeps its bytes when the object is deleted meanwhile."""
    loop = asyncio.get_running_loop()
    reading: asyncio.Future[bytes] | None = None
    try:
        while first < after or reading is not None:
            block = await reading if reading is not None else b""
            reading = None
            if first < after:
                size = min(BLOCK_BYTES, after - first)
                reading, first = loop.run_in_executor(None, os.pread, file.fileno(), size, first), first + size
            if block:
                yield block if decrypt is None else decrypt(block)
    finally:
        if reading is not None:
            await asyncio.wait([reading])  # the thread must be done with the descriptor
        file.close()


@operation("DeleteObject", service="s3")
def delete_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an object, or hide it under a delete marker; a key without one is a success too."""
    return remove(cx, access.bucket_of(cx, request, _deleting(request)), request)


def remove(cx: Context, bucket: Bucket, request: dict[str, Any]) -> dict[str, Any]:
    """Remove what a request names in a bucket that the caller may delete from."""
    key, version_id = request["Key"], access.version_of(request)
    access.check_key(key)
    for name in ("IfMatchLastModifiedTime", "IfMatchSize"):
        if name in request:  # S3 itself has them for directory buckets alone
            raise errors.not_implemented(f"s3:DeleteObject with {name}")
    if "IfMatch" in request:
        cx.objects.lock_bucket(cx, bucket.name)
        conditions.check_write(cx.objects.head(cx, bucket.name, key), key, {"IfMatch": request["IfMatch"]})
    removed = cx.objects.delete(cx, bucket.name, key, version_id)
    if not bucket.versioning:
        return {}
    return {"VersionId": removed.version_id, **({"DeleteMarker": True} if removed.is_delete_marker else {})}


def _deleting(request: dict[str, Any]) -> str:
    return "s3:DeleteObjectVersion" if "VersionId" in request else "s3:DeleteObject"


@operation("DeleteObjects", service="s3")
def delete_objects(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove up to 1,000 objects; each is answered for, unless quiet."""
    requested = request["Delete"]["Objects"]
    if not 1 <= len(requested) <= MOST_DELETED:
        raise failures.malformed_xml()
    name, owner = request["Bucket"], request.get("ExpectedBucketOwner")
    access.known(cx, name, owner)
    deleted, failed = [], []
    for entry in requested:
        given = {"Key": entry["Key"], **_conditions(entry)}
        try:
            bucket = access.allowed(cx, name, _deleting(given), entry["Key"], owner, given.get("VersionId"))
            deleted.append(_deleted(entry, remove(cx, bucket, given)))
        except AwsError as error:
            named = {name: entry[name] for name in ("Key", "VersionId") if name in entry}
            failed.append({**named, "Code": error.code, "Message": error.message})
    answer: dict[str, Any] = {}
    if deleted and not request["Delete"].get("Quiet"):
        answer["Deleted"] = deleted
    if failed:
        answer["Errors"] = failed
    return answer


def _deleted(entry: dict[str, Any], removed: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {name: entry[name] for name in ("Key", "VersionId") if name in entry}
    if "DeleteMarker" in removed:
        shown |= {"DeleteMarker": True, "DeleteMarkerVersionId": removed["VersionId"]}
    return shown


def _conditions(entry: dict[str, Any]) -> dict[str, Any]:
    spelled = {"VersionId": "VersionId", "ETag": "IfMatch", "LastModifiedTime": "IfMatchLastModifiedTime"}
    spelled["Size"] = "IfMatchSize"
    return {wanted: entry[name] for name, wanted in spelled.items() if name in entry}
