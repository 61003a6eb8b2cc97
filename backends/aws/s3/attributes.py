"""GetObjectAttributes: what HeadObject tells and more, without the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access, assembly, checksums, customer_keys, failures
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import StoredObject

MOST_PARTS = 1000
KNOWN = {"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}


@operation("GetObjectAttributes", service="s3")
def get_object_attributes(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that the request names."""
    requested = set(request["ObjectAttributes"])
    if not requested <= KNOWN:
        text = "Invalid attribute name specified."
        raise failures.invalid_argument(text, "x-amz-object-attributes", ",".join(sorted(requested - KNOWN)))
    bucket, stored = access.object_of(cx, request, "s3:GetObjectAttributes")
    customer_keys.of_reader(stored, request)
    answer: dict[str, Any] = {"LastModified": stored.modified, **access.version_member(bucket, stored)}
    if "ETag" in requested:
        answer["ETag"] = stored.etag  # here S3 gives it without quotes
    kept = checksums.members(stored.info)
    if "Checksum" in requested and kept:
        answer["Checksum"] = {name: value.partition("-")[0] for name, value in kept.items()}
    if "ObjectParts" in requested and "Parts" in stored.info:
        answer["ObjectParts"] = _parts(stored, request)
    if "StorageClass" in requested:
        answer["StorageClass"] = stored.info.get("StorageClass", "STANDARD")
    if "ObjectSize" in requested:
        answer["ObjectSize"] = stored.size
    return answer


def _parts(stored: StoredObject, request: dict[str, Any]) -> dict[str, Any]:
    """List the parts of a multipart object; S3 knows them one by one only where they have checksums."""
    sizes: list[int] = stored.info["Parts"]
    answer: dict[str, Any] = {"TotalPartsCount": len(sizes)}
    if "PartChecksums" not in stored.info:
        return answer
    limit, marker = min(request.get("MaxParts", MOST_PARTS), MOST_PARTS), assembly.part_marker(request)
    numbers = range(marker + 1, min(marker + limit, len(sizes)) + 1)
    answer |= {
        "PartNumberMarker": marker,
        "NextPartNumberMarker": numbers[-1] if numbers else 0,
        "MaxParts": limit,
        "IsTruncated": marker + limit < len(sizes),
    }
    if numbers:
        answer["Parts"] = [_part(stored, number, sizes[number - 1]) for number in numbers]
    return answer


def _part(stored: StoredObject, number: int, size: int) -> dict[str, Any]:
    members = checksums.part_members(stored.info, number)
    members.pop("ChecksumType", None)
    return {"PartNumber": number, "Size": size, **members}
