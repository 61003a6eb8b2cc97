"""ListParts and ListMultipartUploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from backends.aws.s3 import access, assembly, checksums
from backends.aws.s3.listings import rolled_up, speller
from backends.core.objects.rows import within
from backends.core.objects.tables import uploads
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

MOST = 1000


@operation("ListParts", service="s3")
def list_parts(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List an upload's parts by number, a page at a time."""
    upload = assembly.upload_of(cx, request, "s3:ListMultipartUploadParts")
    limit, marker = min(request.get("MaxParts", MOST), MOST), assembly.part_marker(request)
    listed = assembly.parts_of(cx, upload.upload_id, marker, limit + 1)
    page = listed[:limit]
    answer: dict[str, Any] = {
        "Bucket": upload.bucket,
        "Key": upload.key,
        "UploadId": upload.upload_id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(listed) > limit,
        "Initiator": access.owner(upload.account),
        "Owner": access.owner(upload.account),
        "StorageClass": upload.info.get("StorageClass", "STANDARD"),
    }
    if upload.algorithm is not None:
        answer |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.kind}
    if page:
        answer["Parts"] = [_part(part) for part in page]
    return answer


def _part(part: assembly.Part) -> dict[str, Any]:
    entry = {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": f'"{part.etag}"',
        "Size": part.size,
    }
    sent = {name: value for name, value in part.checksums.items() if name != checksums.DEFAULT} or part.checksums
    return entry | {f"Checksum{name}": value for name, value in sent.items()}


@operation("ListMultipartUploads", service="s3")
def list_multipart_uploads(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List uploads that go on, by key and then by when they began."""
    bucket = access.bucket_of(cx, request, "s3:ListBucketMultipartUploads").name
    limit = min(request.get("MaxUploads", MOST), MOST)
    entries, prefixes, truncated = _page(cx, bucket, request, limit)
    spell = speller(request)
    answer: dict[str, Any] = {
        "Bucket": bucket,
        "KeyMarker": spell(request.get("KeyMarker", "")),
        "UploadIdMarker": request.get("UploadIdMarker", ""),
        "Prefix": spell(request.get("Prefix", "")),
        "MaxUploads": limit,
        "IsTruncated": truncated,
    }
    if request.get("Delimiter"):
        answer["Delimiter"] = spell(request["Delimiter"])
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    if entries:
        answer["Uploads"] = [_upload(entry, spell(entry.key)) for entry in entries]
    if prefixes:
        answer["CommonPrefixes"] = [{"Prefix": spell(prefix)} for prefix in prefixes]
    if truncated:
        last = max([entry.key for entry in entries[-1:]] + prefixes[-1:])
        rolled = bool(prefixes) and last == prefixes[-1]
        answer["NextKeyMarker"] = spell(last)
        answer["NextUploadIdMarker"] = "" if rolled else entries[-1].upload_id
    return answer


def _page(
    cx: Context, bucket: str, request: dict[str, Any], limit: int
) -> tuple[list[assembly.Upload], list[str], bool]:
    """Return uploads, common prefixes, and whether there is more. A bucket has few uploads: rows are simply read on."""
    prefix, delimiter, marker = request.get("Prefix", ""), request.get("Delimiter", ""), request.get("KeyMarker", "")
    query = select(uploads).where(uploads.c.bucket == bucket, *within(prefix, uploads.c.key))
    if marker:
        beyond = uploads.c.key > marker
        if request.get("UploadIdMarker"):
            same = and_(uploads.c.key == marker, uploads.c.upload_id > request["UploadIdMarker"])
            beyond = or_(beyond, same)
        query = query.where(beyond)
    entries: list[assembly.Upload] = []
    prefixes: list[str] = []
    for row in cx.db.execute(query.order_by(uploads.c.key, uploads.c.upload_id)):
        rolled = rolled_up(row.key, prefix, delimiter)
        if rolled is not None and (rolled <= marker or rolled in prefixes[-1:]):
            continue
        if len(entries) + len(prefixes) == limit:
            return entries, prefixes, limit > 0
        if rolled is None:
            entries.append(assembly.upload_from(row))
        else:
            prefixes.append(rolled)
    return entries, prefixes, False


def _upload(upload: assembly.Upload, key: str) -> dict[str, Any]:
    entry = {
        "UploadId": upload.upload_id,
        "Key": key,
        "Initiated": upload.created,
        "StorageClass": upload.info.get("StorageClass", "STANDARD"),
        "Owner": access.owner(upload.account),
        "Initiator": access.owner(upload.account),
    }
    if upload.algorithm is not None:
        entry |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.kind}
    return entry
