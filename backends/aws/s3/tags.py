"""Object tags: GetObjectTagging, PutObjectTagging, DeleteObjectTagging, and the x-amz-tagging header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from backends.aws.s3 import access, failures
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import StoredObject

MOST_TAGS = 10


@operation("GetObjectTagging", service="s3")
def get_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give an object's tags."""
    return {"TagSet": [{"Key": k, "Value": v} for k, v in _find(cx, request).tags.items()]}


@operation("PutObjectTagging", service="s3")
def put_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace an object's tags."""
    stored = _find(cx, request)
    cx.objects.set_tags(cx, stored, checked([(t["Key"], t["Value"]) for t in request["Tagging"]["TagSet"]]))
    return {}


@operation("DeleteObjectTagging", service="s3")
def delete_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove all of an object's tags."""
    cx.objects.set_tags(cx, _find(cx, request), {})
    return {}


def _find(cx: Context, request: dict[str, Any]) -> StoredObject:
    access.check_version(request)
    bucket = access.bucket_of(cx, request)
    stored = cx.objects.head(cx, bucket.name, request["Key"])
    if stored is None:
        raise failures.no_such_key(request["Key"])
    return stored


def read_header(text: str | None) -> dict[str, str]:
    """Read an x-amz-tagging header, which is spelled like a query string."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters"
        raise failures.invalid_argument(f"{message} without tag name duplicates.", "x-amz-tagging", text) from None
    return checked(pairs)


def checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Give tags as a dict; raise S3's errors for too many, doubled or malformed ones."""
    if len(pairs) > MOST_TAGS:
        raise AwsError("BadRequest", "Object tags cannot be greater than 10", 400)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    for key, value in pairs:
        if not 1 <= len(key) <= 128:
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", 400, {"TagKey": key})
        if key.startswith("aws:"):
            raise AwsError("InvalidTag", "System tags cannot be added/updated by requester", 400, {"TagKey": key})
        if len(value) > 256:
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid", 400, {"TagValue": value})
    return found
