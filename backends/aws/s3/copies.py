"""Copies: CopyObject, and reading a copy's source for UploadPartCopy. Bytes go by reflink where they need no hashing."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backends.aws.s3 import access, checksums, conditions, failures, headers, tags
from backends.aws.s3.receive import BLOCK_BYTES, MOST_BYTES, Received, keep
from backends.core import errors
from backends.core.objects.store import INLINE_BYTES, Content
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import StoredObject

SOURCE_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
CHANGES = ("StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "WebsiteRedirectLocation")


@operation("CopyObject", service="s3")
async def copy_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Copy an object with its metadata and tags, or with those of the request."""
    key = request["Key"]
    access.check_key(key)
    access.check_options(request)
    replaced = request.get("MetadataDirective", "COPY") == "REPLACE"
    stored = await cx.read(lambda inside: _check(inside, request))
    if (stored.bucket, stored.key) == (request["Bucket"], key) and not replaced:
        _check_changes(request)
    info, tagging = _info(stored, request, replaced=replaced), stored.tags
    if request.get("TaggingDirective", "COPY") == "REPLACE":
        tagging = tags.read_header(request.get("Tagging"))
    received = await asyncio.get_running_loop().run_in_executor(None, _copy, cx, stored, request)
    if received.checksums:
        info["Checksums"] = received.checksums

    def record(inside: Context) -> StoredObject:
        bucket = access.bucket_of(inside, request).name
        conditions.check_write(inside.objects.head(inside, bucket, key), key, request)
        return inside.objects.record(inside, bucket, key, received.content, info, tagging)

    made = await keep(cx, received.content, record)
    result = {"ETag": f'"{made.etag}"', "LastModified": made.modified, **checksums.members(info)}
    return {"CopyObjectResult": result, **headers.encryption(info)}


def _check(cx: Context, request: dict[str, Any]) -> StoredObject:
    access.bucket_of(cx, request)
    stored = source(cx, request)
    if stored.size > MOST_BYTES:
        text = "The specified copy source is larger than the maximum allowable size for a copy source"
        raise failures.invalid_request(f"{text}: {MOST_BYTES}")
    return stored


def _check_changes(request: dict[str, Any]) -> None:
    if not any(name in request for name in CHANGES):
        raise failures.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


def source(cx: Context, request: dict[str, Any]) -> StoredObject:
    """Find the object that x-amz-copy-source names, if its conditions hold."""
    bucket, key = parse_source(request["CopySource"])
    name = access.owned(cx, bucket, request.get("ExpectedSourceBucketOwner")).name
    stored = cx.objects.head(cx, name, key)
    if stored is None:
        raise failures.no_such_key(key)
    conditions.check_copy(stored, request)
    return stored


def parse_source(text: str) -> tuple[str, str]:
    """Split `bucket/key[?versionId=...]`, which is percent-encoded and may begin with a slash."""
    path, _, version = text.partition("?versionId=")
    if version not in {"", "null"}:
        raise failures.invalid_argument("Invalid version id specified", "versionId", version)
    if path.startswith("arn:"):
        raise errors.not_implemented("s3 copies from access points")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise failures.invalid_argument(text, "x-amz-copy-source", path)
    return bucket, key


def _info(stored: StoredObject, request: dict[str, Any], *, replaced: bool) -> dict[str, Any]:
    info = headers.info_of(request)
    if not replaced:  # storage class, encryption and redirect never come along
        for name in (*headers.CONTENT, "Metadata"):
            info.pop(name, None)
            if name in stored.info:
                info[name] = stored.info[name]
    return info


def _copy(cx: Context, stored: StoredObject, request: dict[str, Any]) -> Received:
    """Duplicate an object's bytes; blocks. What was made of parts becomes one piece, and gets its own MD5."""
    algorithm = request.get("ChecksumAlgorithm")
    known = stored.info.get("Checksums", {})
    whole = stored.info.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    if "-" not in stored.etag and whole and algorithm in {None, *known}:
        return Received(cx.objects.copy_content(stored), known)
    return rewrite(cx, stored, (0, stored.size), algorithm or next(iter(known), None))


def rewrite(
    cx: Context, stored: StoredObject, span: tuple[int, int], algorithm: str | None, *, inline: bool = True
) -> Received:
    """Copy a span of an object's bytes and hash them on the way; blocks."""
    first, after = span
    digest = checksums.maker(algorithm)() if algorithm is not None else None
    with cx.objects.open(stored) as file:
        file.seek(first)
        if inline and after - first <= INLINE_BYTES:
            data = file.read(after - first)
            content = cx.objects.store_bytes(data)
            if digest is not None:
                digest.update(data)
        else:
            writer = cx.objects.blobs.writer()
            try:
                while first < after:
                    block = file.read(min(BLOCK_BYTES, after - first))
                    writer.write(block)
                    if digest is not None:
                        digest.update(block)
                    first += len(block)
                content = Content(writer.size, writer.md5.hexdigest(), blob=writer.finish())
            finally:
                writer.abandon()
    if digest is None or algorithm is None:
        return Received(content, {})
    return Received(content, {algorithm: checksums.check(checksums.Asked(algorithm, None, None), digest, {})})


def source_span(stored: StoredObject, text: str | None) -> tuple[int, int]:
    """Read x-amz-copy-source-range; the whole object without one. Raises InvalidArgument, InvalidRange."""
    if text is None:
        return 0, stored.size
    found = SOURCE_RANGE.fullmatch(text)
    if found is None or int(found[2]) < int(found[1]):
        message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        raise failures.invalid_argument(
            f"{message}zero-based offsets of the first and last bytes to copy", "x-amz-copy-source-range", text
        )
    if int(found[2]) >= stored.size:
        message = f"Range specified is not valid for source object of size: {stored.size}"
        raise failures.invalid_argument(message, "x-amz-copy-source-range", text)
    return int(found[1]), int(found[2]) + 1
