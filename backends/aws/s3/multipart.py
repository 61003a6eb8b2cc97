"""Multipart uploads: create, parts, copied parts, complete, abort. What lists them is in `multipart_listings`."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, insert

from backends.aws.s3 import (
    access,
    assembly,
    checksums,
    conditions,
    copies,
    customer_keys,
    encryption,
    failures,
    headers,
    lifecycle_rules,
    tags,
)
from backends.aws.s3.receive import Received, keep, receive
from backends.core.errors import AwsError
from backends.core.objects.tables import parts, uploads
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import Bucket, StoredObject

MOST_PARTS = 10_000


@operation("CreateMultipartUpload", service="s3")
def create_multipart_upload(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an upload; its id begins with its time, so that ids sort as uploads began."""
    bucket, name = access.bucket_of(cx, request, "s3:PutObject"), request["Key"]
    access.check_key(name)
    access.check_options(request)
    info = headers.info_of(bucket, request)
    algorithm, kind = _checksum(request)
    begun = {"Algorithm": algorithm, "Type": kind} if algorithm is not None else {}
    key = customer_keys.of_request(request)
    if key is not None:
        begun["KeyMD5"] = key.md5
    tagging = tags.read_header(request.get("Tagging"))
    row = {
        "upload_id": f"{time.time_ns():016x}{secrets.token_hex(24)}",
        "bucket": bucket.name,
        "key": name,
        "account": cx.account,
        "created": cx.clock.now(),
        "info": orjson.dumps({**info, "Upload": begun}),
        "tags": orjson.dumps(tagging) if tagging else None,
    }
    cx.db.execute(insert(uploads), row)
    shown = {"Customer": {"KeyMD5": key.md5}} if key is not None else info
    answer = {"Bucket": bucket.name, "Key": name, "UploadId": row["upload_id"], **encryption.members(shown)}
    answer |= lifecycle_rules.abort_members(bucket, name, row["created"])
    return answer | ({"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if algorithm is not None else {})


def _checksum(request: dict[str, Any]) -> tuple[str | None, str]:
    algorithm, kind = request.get("ChecksumAlgorithm"), request.get("ChecksumType")
    if algorithm is None:
        if kind is not None:
            raise failures.invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None, ""
    checksums.maker(algorithm)
    if kind == "FULL_OBJECT" and algorithm not in checksums.FULL_CAPABLE:
        raise failures.invalid_request(
            f"The FULL_OBJECT checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    if kind == "COMPOSITE" and algorithm in checksums.FULL_ONLY:
        raise failures.invalid_request(
            f"The COMPOSITE checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return algorithm, kind or ("FULL_OBJECT" if algorithm in checksums.FULL_ONLY else "COMPOSITE")


@operation("UploadPart", service="s3")
async def upload_part(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store one part; the same number again replaces it."""
    _check_number(request)
    upload = await cx.read(lambda inside: assembly.upload_of(inside, request))
    requested = checksums.requested(cx.headers, request)
    if upload.algorithm is not None and requested is not None and requested.algorithm != upload.algorithm:
        raise failures.invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, actual checksum "
            f"Type: {requested.algorithm.lower()}"
        )
    key = upload.customer_key(request)
    algorithm = upload.algorithm or checksums.DEFAULT  # of which an upload without one makes the whole object's
    received = await receive(cx, request, algorithm, inline=False, key=key, always=True)
    await keep(cx, received.content, lambda inside: _record_part(inside, request, received))
    told = requested.algorithm if requested is not None else algorithm
    answer = {"ETag": f'"{received.content.etag}"', **upload.encryption()}
    return answer | {f"Checksum{told}": received.checksums[told]}


@operation("UploadPartCopy", service="s3")
async def upload_part_copy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a span of an object as a part."""
    _check_number(request)
    access.check_options(request)

    def look(inside: Context) -> tuple[assembly.Upload, copies.Origin]:
        return assembly.upload_of(inside, request), copies.source(inside, request)

    upload, origin = await cx.read(look)
    key, algorithm = upload.customer_key(request), upload.algorithm or checksums.DEFAULT
    span = copies.source_span(origin.stored, request.get("CopySourceRange"))
    received = await asyncio.get_running_loop().run_in_executor(
        None, lambda: copies.rewrite(cx, origin, span, algorithm, key, inline=False)
    )
    modified = await keep(cx, received.content, lambda inside: _record_part(inside, request, received))
    result = {"ETag": f'"{received.content.etag}"', "LastModified": modified}
    result |= {f"Checksum{name}": value for name, value in received.checksums.items()}
    return {"CopyPartResult": result, **upload.encryption(), **origin.member}


def _check_number(request: dict[str, Any]) -> None:
    if not 1 <= request["PartNumber"] <= MOST_PARTS:
        text = f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive"
        raise failures.invalid_argument(text, "partNumber", request["PartNumber"])


def _record_part(cx: Context, request: dict[str, Any], received: Received) -> float:
    """Name a part's bytes, if the upload still goes on; give the time."""
    upload_id = assembly.upload_of(cx, request).upload_id
    cx.objects.lock_bucket(cx, request["Bucket"])
    is_part = (parts.c.upload_id == upload_id) & (parts.c.number == request["PartNumber"])
    before = cx.db.execute(delete(parts).where(is_part).returning(parts.c.blob)).scalar()
    if before is not None:
        cx.objects.discard(cx, [before])
    modified = cx.clock.now()
    row = {
        "upload_id": upload_id,
        "number": request["PartNumber"],
        "size": received.content.size,
        "etag": received.content.etag,
        "modified": modified,
        "blob": received.content.blob,
        "info": orjson.dumps(received.checksums | ({"Nonce": received.nonces[0]} if received.nonces else {})),
    }
    cx.db.execute(insert(parts), row)
    return modified


@operation("CompleteMultipartUpload", service="s3")
async def complete_multipart_upload(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make one object of the listed parts; the same again, after success, has the same answer."""
    conditions.check_writable(request)
    try:
        return await _complete(cx, request)
    except AwsError as error:
        if error.code != "NoSuchUpload":
            raise
        again = await cx.read(lambda inside: _completed(inside, request))
        if again is None:
            raise
        return again


def _completed(cx: Context, request: dict[str, Any]) -> dict[str, Any] | None:
    """Find what an upload has become, if the request lists the parts that it was made of.

    Unverified: for how long S3 remembers; here, as long as the object is there.
    """
    within = access.bucket_of(cx, request, "s3:PutObject")
    for stored in cx.objects.versions_of(cx, within.name, request["Key"]):
        if stored.info.get("UploadId") == request["UploadId"] and stored.etag == assembly.etag_of_listed(request):
            return _answer(cx, within, stored)
    return None


async def _complete(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Join the parts inside the kernel; their bytes are hashed no second time."""
    upload, chosen = await cx.read(lambda inside: assembly.choose(inside, request))
    info = assembly.object_info(upload, chosen, request)
    content = await asyncio.get_running_loop().run_in_executor(None, assembly.join, cx, chosen)
    single = content.blob == chosen[0].blob

    def record(inside: Context) -> tuple[Bucket, StoredObject]:
        within = access.bucket_of(inside, request, "s3:PutObject")
        inside.objects.lock_bucket(inside, within.name)
        again, still = assembly.choose(inside, request)  # aborted, completed or changed while the parts were joined?
        if [part.blob for part in still] != [part.blob for part in chosen]:
            raise failures.no_such_upload(again.upload_id)
        conditions.check_write(inside.objects.head(inside, upload.bucket, upload.key), upload.key, request)
        inside.objects.forget_upload(inside, upload.upload_id, keeping=content.blob)
        cause = "CompleteMultipartUpload"
        return within, inside.objects.record(inside, within, upload.key, content, info, upload.tags, cause)

    if single:
        within, made = await cx.transact(record)  # the part's own bytes: a refusal must not remove them
    else:
        within, made = await keep(cx, content, record)
    return _answer(cx, within, made)


def _answer(cx: Context, within: Bucket, made: StoredObject) -> dict[str, Any]:
    host = cx.headers.get("host", "localhost")
    answer = {
        "Location": f"{cx.headers.get(':scheme', 'http')}://{host}/{made.bucket}/{made.key}",
        "Bucket": made.bucket,
        "Key": made.key,
        "ETag": f'"{made.etag}"',
    }
    answer |= checksums.members(made.info) | encryption.members(made.info) | access.version_member(within, made)
    return answer | lifecycle_rules.expiration_member(within, made)


@operation("AbortMultipartUpload", service="s3")
def abort_multipart_upload(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Throw an upload and its parts away."""
    upload = assembly.upload_of(cx, request, "s3:AbortMultipartUpload")
    cx.objects.forget_upload(cx, upload.upload_id)
    return {}
