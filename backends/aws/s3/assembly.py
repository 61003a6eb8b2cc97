"""What CompleteMultipartUpload checks and makes: the chosen parts, the object's ETag, its checksum, its bytes."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.aws.s3 import access, checksums, customer_keys, encryption, failures
from backends.core.errors import AwsError
from backends.core.objects import Content
from backends.core.objects.tables import parts, uploads

if TYPE_CHECKING:
    from backends.aws.s3.customer_keys import CustomerKey
    from backends.core.context import Context

LEAST_PART_BYTES = 5 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that goes on.

    `algorithm`, `kind`: the checksum it was begun with (COMPOSITE or FULL_OBJECT); `key_md5`: the customer's key, where
    one encrypts it.
    """

    upload_id: str
    bucket: str
    key: str
    account: str
    created: float
    info: dict[str, Any]
    tags: dict[str, str]
    algorithm: str | None
    kind: str
    key_md5: str

    def customer_key(self, request: dict[str, Any]) -> CustomerKey | None:
        """Return the key that encrypts a part: the upload's own, or none."""
        key = customer_keys.of_request(request)
        if not self.key_md5 and key is not None:
            raise failures.invalid_request(
                "The multipart upload initiate did not request encryption. Please resend the request without sending "
                "encryption parameters."
            )
        if self.key_md5 and key is None:
            raise failures.invalid_request(
                "The multipart upload initiate requested encryption. Subsequent part requests must include the "
                "appropriate encryption parameters."
            )
        if key is not None and key.md5 != self.key_md5:
            raise failures.invalid_request("The provided encryption parameters did not match the ones used originally.")
        return key

    def encryption(self) -> dict[str, Any]:
        """Return the response members about the upload's encryption."""
        return encryption.members({"Customer": {"KeyMD5": self.key_md5}} if self.key_md5 else self.info)


@dataclass(frozen=True, slots=True)
class Part:
    """One stored part; `checksums` (base64) by algorithm; `nonce` where a customer's key encrypts it."""

    number: int
    size: int
    etag: str
    modified: float
    blob: str
    checksums: dict[str, str]
    nonce: str = ""


def upload_of(cx: Context, request: dict[str, Any], action: str = "s3:PutObject") -> Upload:
    """Find the upload that a request names; NoSuchUpload unless bucket and key are its own."""
    bucket = access.bucket_of(cx, request, action).name
    is_upload = uploads.c.upload_id == request["UploadId"]
    row = cx.db.execute(select(uploads).where(is_upload)).first()
    if row is None or (row.bucket, row.key) != (bucket, request["Key"]):
        raise failures.no_such_upload(request["UploadId"])
    return upload_from(row)


def upload_from(row: Any) -> Upload:
    """Read a row of s3_uploads."""
    info = orjson.loads(row.info)
    begun = info.pop("Upload", {})
    return Upload(
        row.upload_id,
        row.bucket,
        row.key,
        row.account,
        row.created,
        info,
        orjson.loads(row.tags) if row.tags else {},
        begun.get("Algorithm"),
        begun.get("Type", ""),
        begun.get("KeyMD5", ""),
    )


def parts_of(cx: Context, upload_id: str, after: int = 0, limit: int | None = None) -> list[Part]:
    """List an upload's parts by number."""
    query = select(parts).where(parts.c.upload_id == upload_id, parts.c.number > after).order_by(parts.c.number)
    listed = []
    for row in cx.db.execute(query.limit(limit)):
        info = orjson.loads(row.info)
        nonce = info.pop("Nonce", "")
        listed.append(Part(row.number, row.size, row.etag, row.modified, row.blob, info, nonce))
    return listed


def part_marker(request: dict[str, Any]) -> int:
    """Read PartNumberMarker, which the model has as text; InvalidArgument for what is no number."""
    text = str(request.get("PartNumberMarker") or 0)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        what = "Provided part-number-marker not an integer or within integer range"
        raise failures.invalid_argument(what, "part-number-marker", text)
    return int(text)


def choose(cx: Context, request: dict[str, Any]) -> tuple[Upload, list[Part]]:
    """Return the upload and the parts that the request lists; raise what S3 says about wrong ones."""
    upload = upload_of(cx, request)
    listed = request.get("MultipartUpload", {}).get("Parts", [])
    if not listed or any("PartNumber" not in entry or "ETag" not in entry for entry in listed):
        raise failures.malformed_xml()
    numbers = [entry["PartNumber"] for entry in listed]
    if any(after <= before for before, after in itertools.pairwise(numbers)):
        text = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise AwsError("InvalidPartOrder", text, 400, {"UploadId": upload.upload_id})
    stored = {part.number: part for part in parts_of(cx, upload.upload_id)}
    chosen = [_chosen(upload, entry, stored.get(entry["PartNumber"])) for entry in listed]
    for part in chosen[:-1]:
        if part.size < LEAST_PART_BYTES:
            members = {
                "ProposedSize": part.size,
                "MinSizeAllowed": LEAST_PART_BYTES,
                "PartNumber": part.number,
                "ETag": part.etag,
            }
            text = "Your proposed upload is smaller than the minimum allowed size"
            raise AwsError("EntityTooSmall", text, 400, members)
    return upload, chosen


def _chosen(upload: Upload, entry: dict[str, Any], part: Part | None) -> Part:
    given = {name: entry[f"Checksum{name}"] for name in checksums.NAMES if f"Checksum{name}" in entry}
    if (
        part is None
        or entry["ETag"].strip('"') != part.etag
        or any(part.checksums.get(name) != value for name, value in given.items())
    ):
        text = (
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag."
        )
        members = {"UploadId": upload.upload_id, "PartNumber": entry["PartNumber"], "ETag": entry["ETag"].strip('"')}
        raise AwsError("InvalidPart", text, 400, members)
    return part


def object_info(upload: Upload, chosen: list[Part], request: dict[str, Any]) -> dict[str, Any]:
    """Return what the object will carry: the upload's headers, part sizes and the checksum of the whole."""
    size = sum(part.size for part in chosen)
    if request.get("MpuObjectSize", size) != size:
        raise failures.invalid_request("The provided 'x-amz-mp-object-size' header does not match what was computed.")
    info = {**upload.info, "UploadId": upload.upload_id, "Parts": [part.size for part in chosen]}
    if upload.key_md5:
        info["Customer"] = {"KeyMD5": upload.key_md5, "Nonces": [part.nonce for part in chosen]}
    algorithm, kind = upload.algorithm, upload.kind
    if algorithm is None and all(checksums.DEFAULT in part.checksums for part in chosen):
        algorithm, kind = checksums.DEFAULT, "FULL_OBJECT"
    if request.get("ChecksumType", kind) != kind:
        raise failures.invalid_request(
            f"The upload was created using the {kind or 'null'} checksum mode. The complete request must use "
            "the same checksum mode."
        )
    if kind == "COMPOSITE":
        _check_part_checksums(algorithm, request)
    if algorithm is None:
        return info
    if upload.algorithm is not None:
        info["PartChecksums"] = {algorithm: [part.checksums[algorithm] for part in chosen]}
    return info | {"Checksums": {algorithm: _whole(algorithm, kind, chosen, request)}, "ChecksumType": kind}


def _check_part_checksums(algorithm: str | None, request: dict[str, Any]) -> None:
    """Raise InvalidRequest for a listed part without its checksum. Words: opendal's #4580, of the service itself."""
    for entry in request["MultipartUpload"]["Parts"]:
        if f"Checksum{algorithm}" not in entry:
            raise failures.invalid_request(
                f"The upload was created using a {str(algorithm).lower()} checksum. The complete request must include "
                f"the checksum for each part. It was missing for part {entry['PartNumber']} in the request."
            )


def _whole(algorithm: str, kind: str, chosen: list[Part], request: dict[str, Any]) -> str:
    """Return the checksum of the whole; raise BadDigest where the client expects another."""
    if kind == "FULL_OBJECT":
        value = checksums.full(algorithm, [(part.checksums[algorithm], part.size) for part in chosen])
    else:
        value = checksums.composite(algorithm, [part.checksums[algorithm] for part in chosen])
    expected = request.get(f"Checksum{algorithm}")
    if expected is not None and expected not in {value, value.partition("-")[0]}:
        raise failures.bad_digest(algorithm)
    return value


def etag_of_listed(request: dict[str, Any]) -> str:
    """Return the ETag that the listed parts would make together."""
    listed = request.get("MultipartUpload", {}).get("Parts", [])
    return _etag([entry.get("ETag", "").strip('"') for entry in listed])


def _etag(etags: list[str]) -> str:
    try:
        joined = b"".join(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return ""
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"


def join(cx: Context, chosen: list[Part]) -> Content:
    """Make one blob of the parts' blobs; blocks. A single part's blob is taken as it is."""
    etag, size = _etag([part.etag for part in chosen]), sum(part.size for part in chosen)
    if len(chosen) == 1:
        return Content(size, etag, blob=chosen[0].blob)
    return Content(size, etag, blob=cx.objects.blobs.join([part.blob for part in chosen]))
