"""Objects: PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access, checksums, conditions, failures, headers, tags
from backends.aws.s3.receive import BLOCK_BYTES, keep, receive
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import IO

    from backends.core.context import Context
    from backends.core.objects import StoredObject

MOST_DELETED = 1000


@operation("PutObject", service="s3")
async def put_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an object; of several writers of one key the last to commit wins, whole."""
    key = request["Key"]
    access.check_key(key)
    access.check_options(request)
    info, tagging = headers.info_of(request), tags.read_header(request.get("Tagging"))
    await cx.read(lambda inside: access.bucket_of(inside, request))  # refuse before the body is read
    received = await receive(cx, request)
    if received.checksums:
        info["Checksums"] = received.checksums

    def record(inside: Context) -> StoredObject:
        bucket = access.bucket_of(inside, request).name
        if "IfMatch" in request or "IfNoneMatch" in request:
            conditions.check_write(inside.objects.head(inside, bucket, key), key, request)
        return inside.objects.record(inside, bucket, key, received.content, info, tagging)

    await keep(cx, received.content, record)
    return {
        "ETag": f'"{received.content.etag}"',
        **checksums.members(info),
        **headers.encryption(info),
    }


@operation("GetObject", service="s3")
async def get_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give an object's bytes: inline ones at once, others in blocks read by a thread."""
    stored = await cx.read(lambda inside: find(inside, request))
    answer, first, after = _about(stored, request)
    if stored.blob is None:
        answer["Body"] = (stored.inline or b"")[first:after]
    else:
        answer["Body"] = await _body(cx, stored, first, after)
    return answer


@operation("HeadObject", service="s3")
def head_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give what GetObject would, without the bytes."""
    return _about(find(cx, request), request)[0]


def find(cx: Context, request: dict[str, Any]) -> StoredObject:
    """Find the object that a request names; NoSuchBucket, AccessDenied, NoSuchKey."""
    access.check_version(request)
    access.check_options(request)
    bucket, key = access.bucket_of(cx, request), request["Key"]
    access.check_key(key)
    stored = cx.objects.head(cx, bucket.name, key)
    if stored is None:
        raise failures.no_such_key(key)
    return stored


def _about(stored: StoredObject, request: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """Give an answer's members without its bytes, the first byte and the one after the last."""
    conditions.check_read(stored, request)
    asked = conditions.byte_range(stored, request)
    first, after = asked or (0, stored.size)
    answer = headers.members(stored, request)
    answer["ContentLength"] = after - first
    if asked is not None:
        answer["ContentRange"] = f"bytes {first}-{after - 1}/{stored.size}"
    return answer, first, after


async def _body(cx: Context, stored: StoredObject, first: int, after: int) -> bytes | AsyncIterator[bytes]:
    file = await asyncio.get_running_loop().run_in_executor(None, cx.objects.open, stored)
    if after - first > BLOCK_BYTES:
        return _blocks(file, first, after)
    with file:
        return await asyncio.get_running_loop().run_in_executor(None, os.pread, file.fileno(), after - first, first)


async def _blocks(file: IO[bytes], first: int, after: int) -> AsyncIterator[bytes]:
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
                yield block
    finally:
        if reading is not None:
            await asyncio.wait([reading])  # the thread must be done with the descriptor
        file.close()


@operation("DeleteObject", service="s3")
def delete_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an object; a key without one is a success too."""
    access.check_version(request)
    bucket, key = access.bucket_of(cx, request), request["Key"]
    access.check_key(key)
    if "IfMatch" in request:
        conditions.check_write(cx.objects.head(cx, bucket.name, key), key, {"IfMatch": request["IfMatch"]})
    cx.objects.delete(cx, bucket.name, key)
    return {}


@operation("DeleteObjects", service="s3")
def delete_objects(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove up to 1,000 objects; each is answered for, unless quiet."""
    asked = request["Delete"]["Objects"]
    if not 1 <= len(asked) <= MOST_DELETED:
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise AwsError("MalformedXML", text, 400)
    bucket = access.bucket_of(cx, request).name
    deleted, failed = [], []
    for entry in asked:
        try:
            delete_object(cx, {"Bucket": bucket, "Key": entry["Key"], **_conditions(entry)})
            deleted.append({name: entry[name] for name in ("Key", "VersionId") if name in entry})
        except AwsError as error:
            failed.append({"Key": entry["Key"], "Code": error.code, "Message": error.message})
    answer: dict[str, Any] = {}
    if deleted and not request["Delete"].get("Quiet"):
        answer["Deleted"] = deleted
    if failed:
        answer["Errors"] = failed
    return answer


def _conditions(entry: dict[str, Any]) -> dict[str, Any]:
    found = {name: entry[name] for name in ("VersionId",) if name in entry}
    if "ETag" in entry:
        found["IfMatch"] = entry["ETag"]
    return found
