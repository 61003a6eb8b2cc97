"""Copies: CopyObject, and reading a copy's source for UploadPartCopy. Bytes go by reflink where they need no hashing."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

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
from backends.aws.s3.receive import BLOCK_BYTES, MOST_BYTES, Received, keep
from backends.core import errors
from backends.core.objects import Content
from backends.core.objects.store import INLINE_BYTES
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.aws.s3.customer_keys import CustomerKey
    from backends.core.context import Context
    from backends.core.objects import Bucket, StoredObject

SOURCE_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})")
CHANGES = ("StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "SSECustomerKey", "WebsiteRedirectLocation")


@operation("CopyObject", service="s3")
async def copy_object(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Copy an object with its metadata and tags, or with those of the request."""
    name = request["Key"]
    access.check_key(name)
    access.check_options(request)
    conditions.check_writable(request)
    replaced = request.get("MetadataDirective", "COPY") == "REPLACE"
    bucket, origin = await cx.read(lambda inside: _check(inside, request))
    stored, key = origin.stored, customer_keys.of_request(request)
    if (stored.bucket, stored.key) == (bucket.name, name) and stored.is_latest and not replaced:
        _check_changes(request)
    info, tagging = _info(bucket, stored, request, replaced=replaced), stored.tags
    if request.get("TaggingDirective", "COPY") == "REPLACE":
        tagging = tags.read_header(request.get("Tagging"))
    received = await asyncio.get_running_loop().run_in_executor(None, _copy, cx, origin, request, key)
    received.keep_in(info, key)

    def record(inside: Context) -> tuple[Bucket, StoredObject]:
        within = access.bucket_of(inside, request, "s3:PutObject")
        inside.objects.lock_bucket(inside, within.name)
        conditions.check_write(inside.objects.head(inside, within.name, name), name, request)
        return within, inside.objects.record(inside, within, name, received.content, info, tagging, "Copy")

    within, made = await keep(cx, received.content, record)
    result = {"ETag": f'"{made.etag}"', "LastModified": made.modified, **checksums.members(info)}
    return {
        "CopyObjectResult": result,
        **encryption.members(info),
        **access.version_member(within, made),
        **origin.member,
        **lifecycle_rules.expiration_member(within, made),
    }


def _check(cx: Context, request: dict[str, Any]) -> tuple[Bucket, Origin]:
    bucket = access.bucket_of(cx, request, "s3:PutObject")
    origin = source(cx, request)
    if origin.stored.size > MOST_BYTES:
        text = "The specified copy source is larger than the maximum allowable size for a copy source"
        raise failures.invalid_request(f"{text}: {MOST_BYTES}")
    return bucket, origin


def _check_changes(request: dict[str, Any]) -> None:
    if not any(name in request for name in CHANGES):
        raise failures.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """What a copy is made of, and the customer's key that reads it; `member` tells the version in the answer."""

    stored: StoredObject
    key: CustomerKey | None
    member: dict[str, str]


def source(cx: Context, request: dict[str, Any]) -> Origin:
    """Find the object that x-amz-copy-source names, if its conditions hold."""
    name, key, version_id = parse_source(request["CopySource"])
    action = "s3:GetObject" if version_id is None else "s3:GetObjectVersion"
    bucket = access.allowed(cx, name, action, key, request.get("ExpectedSourceBucketOwner"), version_id)
    try:
        stored = access.version_in(cx, bucket, key, version_id)
    except errors.AwsError as error:
        if error.code != "MethodNotAllowed":
            raise
        text = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise failures.invalid_request(text) from None
    conditions.check_copy(stored, request)
    member = {"CopySourceVersionId": stored.version_id} if bucket.versioning else {}
    return Origin(stored, customer_keys.of_reader(stored, request, "CopySource"), member)


def parse_source(text: str) -> tuple[str, str, str | None]:
    """Split `bucket/key[?versionId=...]`, which is percent-encoded and may begin with a slash."""
    path, _, version = text.partition("?versionId=")
    version_id = access.version_of({"VersionId": version} if version else {})
    if path.startswith("arn:"):
        raise errors.not_implemented("s3 copies from access points")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        text = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise failures.invalid_argument(text, "x-amz-copy-source", path)
    return bucket, key, version_id


def _info(bucket: Bucket, stored: StoredObject, request: dict[str, Any], *, replaced: bool) -> dict[str, Any]:
    info = headers.info_of(bucket, request)
    if not replaced:  # storage class, encryption and redirect never come along
        for name in (*headers.CONTENT, "Metadata"):
            info.pop(name, None)
            if name in stored.info:
                info[name] = stored.info[name]
    return info


def _copy(cx: Context, origin: Origin, request: dict[str, Any], key: CustomerKey | None) -> Received:
    """Duplicate an object's bytes; blocks. What was made of parts becomes one piece, and gets its own MD5."""
    stored, algorithm = origin.stored, request.get("ChecksumAlgorithm")
    known = stored.info.get("Checksums", {})
    whole = stored.info.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    plain = origin.key is None and key is None
    if plain and "-" not in stored.etag and whole and algorithm in {None, *known}:
        return Received(cx.objects.copy_content(stored), known)
    algorithm = algorithm or next(iter(known), checksums.DEFAULT)
    return rewrite(cx, origin, (0, stored.size), algorithm, key)


def rewrite(
    cx: Context,
    origin: Origin,
    span: tuple[int, int],
    algorithm: str,
    key: CustomerKey | None,
    *,
    inline: bool = True,
) -> Received:
    """Copy a span of an object's bytes and hash them on the way, from one customer's key to another; blocks."""
    digest = checksums.maker(algorithm)()
    cipher, nonce = key.encryptor() if key is not None else (None, "")

    def blocks() -> Iterator[bytes]:
        for block in _read(cx, origin, span):
            digest.update(block)
            yield block if cipher is None else cipher.update(block)

    if inline and span[1] - span[0] <= INLINE_BYTES:
        content = cx.objects.store_bytes(b"".join(blocks()))
    else:
        writer = cx.objects.blobs.writer()
        try:
            for block in blocks():
                writer.write(block)
            content = Content(writer.size, writer.md5.hexdigest(), blob=writer.finish())
        finally:
            writer.abandon()
    verified = {algorithm: checksums.check(checksums.RequestedChecksum(algorithm, None, None), digest, {})}
    return Received(content, verified, [nonce] if nonce else [])


def _read(cx: Context, origin: Origin, span: tuple[int, int]) -> Iterator[bytes]:
    """Yield the plain bytes of a span in blocks."""
    first, after = span
    reading = customer_keys.Reading(origin.stored, origin.key, first) if origin.key is not None else None
    with cx.objects.open(origin.stored) as file:
        file.seek(first)
        while first < after:
            block = file.read(min(BLOCK_BYTES, after - first))
            first += len(block)
            yield block if reading is None else reading.update(block)


def source_span(stored: StoredObject, text: str | None) -> tuple[int, int]:
    """Read x-amz-copy-source-range; the whole object without one. Raises InvalidArgument, InvalidRange."""
    if text is None:
        return 0, stored.size
    matched = SOURCE_RANGE.fullmatch(text)
    if matched is None or int(matched[2]) < int(matched[1]):
        message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        raise failures.invalid_argument(
            f"{message}zero-based offsets of the first and last bytes to copy", "x-amz-copy-source-range", text
        )
    if int(matched[2]) >= stored.size:
        message = f"Range specified is not valid for source object of size: {stored.size}"
        raise failures.invalid_argument(message, "x-amz-copy-source-range", text)
    return int(matched[1]), int(matched[2]) + 1
