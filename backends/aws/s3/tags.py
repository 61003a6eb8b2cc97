"""Object tags: GetObjectTagging, PutObjectTagging, DeleteObjectTagging, and the x-amz-tagging header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from backends.aws.s3 import access, failures
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

MOST_TAGS, MOST_BUCKET_TAGS = 10, 50


@operation("GetObjectTagging", service="s3")
def get_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return an object's tags."""
    bucket, stored = access.object_of(cx, request, "s3:GetObjectTagging")
    shown = [{"Key": key, "Value": value} for key, value in stored.tags.items()]
    return {"TagSet": shown, **access.version_member(bucket, stored)}


@operation("PutObjectTagging", service="s3")
def put_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace an object's tags."""
    tagging = checked([(t["Key"], t["Value"]) for t in request["Tagging"]["TagSet"]])
    return _replace(cx, request, tagging, "Put")


@operation("DeleteObjectTagging", service="s3")
def delete_object_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove all of an object's tags."""
    return _replace(cx, request, {}, "Delete")


def _replace(cx: Context, request: dict[str, Any], tagging: dict[str, str], verb: str) -> dict[str, Any]:
    bucket, stored = access.object_of(cx, request, f"s3:{verb}ObjectTagging")
    cx.objects.set_tags(cx, stored, tagging)
    cx.objects.notify(cx, bucket, stored, f"ObjectTagging:{verb}")
    return access.version_member(bucket, stored)


def read_header(text: str | None) -> dict[str, str]:
    """Read an x-amz-tagging header, which is spelled like a query string; empty pieces and values may be there."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except ValueError:  # not UTF-8
        pairs = None
    if pairs is None or len(dict(pairs)) < len(pairs):
        message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters"
        raise failures.invalid_argument(f"{message} without tag name duplicates.", "x-amz-tagging", text)
    return checked(pairs)


def checked(pairs: list[tuple[str, str]], most: int = MOST_TAGS) -> dict[str, str]:
    """Return tags as a dict; raise S3's errors for too many, doubled or malformed ones."""
    if len(pairs) > most:
        what = "Object" if most == MOST_TAGS else "Bucket"
        raise AwsError("BadRequest", f"{what} tags cannot be greater than {most}", 400)
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    for key, value in pairs:
        if not 1 <= len(key) <= 128:
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", 400, {"TagKey": key})
        if key.startswith("aws:"):
            raise AwsError("InvalidTag", "System tags cannot be added/updated by requester", 400, {"TagKey": key})
        if len(value) > 256:
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid", 400, {"TagValue": value})
    return tags
