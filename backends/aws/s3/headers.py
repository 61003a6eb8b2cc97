"""What an object carries beside its bytes: content headers, user metadata, encryption, storage class; in and out."""

from __future__ import annotations

import base64
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import checksums, chunked, encryption
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.objects import Bucket, StoredObject

CONTENT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
KEPT = (*CONTENT, "WebsiteRedirectLocation")
OVERRIDES = {f"Response{name}": name for name in CONTENT}
DEFAULT_TYPE = "binary/octet-stream"
METADATA_BYTES = 2048


def info_of(bucket: Bucket, request: dict[str, Any]) -> dict[str, Any]:
    """Read what a PutObject, CopyObject or CreateMultipartUpload wants an object to carry."""
    info = {name: request[name] for name in KEPT if name in request}
    if "SSECustomerKey" not in request:
        info |= encryption.of_request(bucket, request)
    info.setdefault("ContentType", DEFAULT_TYPE)
    if "ContentEncoding" in info:
        info["ContentEncoding"] = chunked.without_coding(info["ContentEncoding"])
        if not info["ContentEncoding"]:
            del info["ContentEncoding"]
    if request.get("StorageClass", "STANDARD") != "STANDARD":
        info["StorageClass"] = request["StorageClass"]
    if request.get("Metadata"):
        info["Metadata"] = _metadata(request["Metadata"])
    return info


def _metadata(given: dict[str, str]) -> dict[str, str]:
    metadata = {name.lower(): _ascii(_decoded(value)) for name, value in given.items()}
    if sum(len(name) + len(value) for name, value in metadata.items()) > METADATA_BYTES:
        text = "Your metadata headers exceed the maximum allowed metadata size"
        raise AwsError("MetadataTooLarge", text, 400, {"MaxSizeAllowed": METADATA_BYTES})
    return metadata


def _decoded(value: str) -> bytes:
    """Return the bytes that a header's value stands for: it may be RFC 2047 words; others come in as latin-1."""
    raw = value.encode("latin-1", "replace")
    if "=?" not in value or not value.isascii():
        return raw
    try:
        return str(make_header(decode_header(value))).encode()
    except (HeaderParseError, LookupError, ValueError):  # no word that can be read: it stands for itself
        return raw


def _ascii(raw: bytes) -> str:
    """Return a value as S3 gives it back: beyond printable ASCII, as a word of RFC 2047."""
    text = raw.decode("latin-1")
    if text.isascii() and text.isprintable():
        return text
    return f"=?UTF-8?B?{base64.b64encode(raw).decode()}?="


def members(stored: StoredObject, request: dict[str, Any]) -> dict[str, Any]:
    """Return the members that GetObject and HeadObject share."""
    info = stored.info
    shown = {
        "AcceptRanges": "bytes",
        "LastModified": stored.modified,
        "ETag": f'"{stored.etag}"',
        **{name: info[name] for name in KEPT if name in info},
        **{name: request[requested] for requested, name in OVERRIDES.items() if requested in request},
        **encryption.members(info),
    }
    shown.setdefault("ContentType", DEFAULT_TYPE)
    for name in ("Metadata", "StorageClass"):
        if name in info:
            shown[name] = info[name]
    if stored.tags:
        shown["TagCount"] = len(stored.tags)
    if "PartNumber" in request and "Parts" in info:
        shown["PartsCount"] = len(info["Parts"])
    if "ChecksumMode" in request and "Range" not in request:
        part = request.get("PartNumber")
        shown |= checksums.members(info) if part is None else checksums.part_members(info, part)
    return shown
