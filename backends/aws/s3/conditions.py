"""Conditional requests and ranges: RFC 9110 in the order in which S3 applies it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import failures
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.objects import StoredObject

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def matches(condition: str, etag: str) -> bool:
    """Return whether an If-Match or If-None-Match header names this ETag."""
    names = {name.strip().removeprefix("W/").strip('"') for name in condition.split(",")}
    return "*" in names or etag in names


def check_read(stored: StoredObject, request: dict[str, Any]) -> None:
    """Raise PreconditionFailed or 304 where a condition of GetObject or HeadObject does not hold."""
    modified = math.floor(stored.modified)  # HTTP dates have no fractions
    if "IfMatch" in request:
        if not matches(request["IfMatch"], stored.etag):
            raise failures.precondition_failed("If-Match")
    elif modified > request.get("IfUnmodifiedSince", math.inf):
        raise failures.precondition_failed("If-Unmodified-Since")
    if "IfNoneMatch" in request:
        if matches(request["IfNoneMatch"], stored.etag):
            raise failures.not_modified(stored)
    elif modified <= request.get("IfModifiedSince", -math.inf):
        raise failures.not_modified(stored)


def check_copy(stored: StoredObject, request: dict[str, Any]) -> None:
    """Raise PreconditionFailed where a condition on a copy's source does not hold."""
    given = {
        name: request[f"CopySource{name}"]
        for name in ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")
        if f"CopySource{name}" in request
    }
    try:
        check_read(stored, given)
    except AwsError as error:
        if error.status == 304:
            name = "If-None-Match" if "IfNoneMatch" in given else "If-Modified-Since"
            raise failures.precondition_failed(f"x-amz-copy-source-{name}") from None
        raise


def check_writable(request: dict[str, Any]) -> None:
    """Raise NotImplemented, as S3 does, for a write with If-Match: *, an ETag that must not be there, or both.

    Unverified: which header the error names where both are sent.
    """
    if "IfNoneMatch" in request and ("IfMatch" in request or request["IfNoneMatch"].strip() != "*"):
        raise failures.header_not_implemented("If-None-Match")
    if request.get("IfMatch", "").strip() == "*":
        raise failures.header_not_implemented("If-Match")


def check_write(there: StoredObject | None, key: str, request: dict[str, Any]) -> None:
    """Raise where a write's If-None-Match: * or If-Match does not hold."""
    if "IfNoneMatch" in request and there is not None:
        raise failures.precondition_failed("If-None-Match")
    if "IfMatch" in request:
        if there is None:
            raise failures.no_such_key(key)
        if not matches(request["IfMatch"], there.etag):
            raise failures.precondition_failed("If-Match")


def byte_range(stored: StoredObject, request: dict[str, Any]) -> tuple[int, int] | None:
    """Return (first byte, byte after the last) that a Range or PartNumber asks for; None for the whole object.

    A header that is no single byte range is ignored, as S3 does. Raises InvalidRange, InvalidPartNumber.
    """
    if "PartNumber" in request:
        if "Range" in request:
            raise failures.invalid_request("Cannot specify both Range header and partNumber query parameter")
        return _part(stored, request["PartNumber"])
    matched = RANGE.fullmatch(request.get("Range", "").strip())
    if matched is None or not (matched[1] or matched[2]):
        return None
    if not matched[1]:
        first, after = max(0, stored.size - int(matched[2])), stored.size
    else:
        first, after = int(matched[1]), min(stored.size, int(matched[2]) + 1) if matched[2] else stored.size
        if matched[2] and int(matched[2]) < first:
            return None
    if first >= stored.size:
        raise failures.invalid_range(request["Range"], stored.size)
    return first, after


def _part(stored: StoredObject, number: int) -> tuple[int, int] | None:
    sizes = stored.info.get("Parts") or [stored.size]
    if not 1 <= number <= len(sizes):
        members = {"PartNumberRequested": number, "ActualPartCount": len(sizes)}
        raise AwsError("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, members)
    if stored.size == 0:
        return None
    first = sum(sizes[: number - 1])
    return first, first + sizes[number - 1]
