"""ListObjects and ListObjectsV2: one walk over the key index, which jumps over what a delimiter rolls up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from backends.aws.s3 import access, failures, listing_xml
from backends.aws.s3.buckets import read_token, write_token
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.objects import Bucket, Summary

MOST_KEYS = 1000
PLAIN = re.compile(r"[A-Za-z0-9/._~-]*")
BATCH = 128
"""Rows read at once where a delimiter may roll most of them up; it adapts to what was of use."""


@dataclass(slots=True)
class Page:
    """One page of a listing. `end` is the last key or common prefix on it, where the next page goes on."""

    summaries: list[Summary] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    end: str = ""

    def __len__(self) -> int:
        return len(self.summaries) + len(self.prefixes)


def walk(cx: Context, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """List keys and common prefixes beyond `after`, in the order of their UTF-8 bytes."""
    page = Page()
    if limit == 0:
        return page
    if not delimiter:
        rows = cx.objects.summaries(cx, bucket, prefix, after, limit + 1)
        page.summaries, page.truncated = list(rows[:limit]), len(rows) > limit
        page.end = page.summaries[-1][0] if rows else ""
        return page
    start, included = after, False
    rolled = rolled_up(after, prefix, delimiter)
    if rolled is not None:  # its keys belong to a common prefix that is not beyond `after`
        start, included = beyond(rolled), True
    batch = min(BATCH, limit + 1)
    while True:
        rows = cx.objects.summaries(cx, bucket, prefix, start, batch, included=included)
        taken = len(page)
        skipped: str | None = None
        for row in rows:
            key = row[0]
            if skipped is not None and key.startswith(skipped):
                continue
            skipped = rolled_up(key, prefix, delimiter)
            if len(page) == limit:
                page.truncated = True
                return page
            if skipped is None:
                page.summaries.append(row)
            else:
                page.prefixes.append(skipped)
            page.end = skipped or key
        if len(rows) < batch:
            return page
        start, included = (beyond(skipped), True) if skipped is not None else (rows[-1][0], False)
        useful = len(page) - taken
        batch = (
            max(2, min(batch * 2, limit + 1 - len(page), MOST_KEYS)) if useful * 2 > len(rows) else max(2, useful * 2)
        )


def rolled_up(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the common prefix that a key belongs to, None when it stands for itself."""
    if not delimiter or not key.startswith(prefix):
        return None
    end = key.find(delimiter, len(prefix))
    return key[: end + len(delimiter)] if end >= 0 else None


def beyond(prefix: str) -> str:
    """Return the least text above everything that begins with `prefix`."""
    head = prefix.rstrip("\U0010ffff")
    following = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


@operation("ListObjectsV2", service="s3")
def list_objects_v2(cx: Context, request: dict[str, Any]) -> bytes:
    """List a bucket, a page at a time, by continuation token."""
    limit = page_size(request)
    token = request.get("ContinuationToken")
    if token == "":
        raise failures.invalid_argument("The continuation token provided is incorrect", "continuation-token")
    after = read_token(token) if token is not None else request.get("StartAfter", "")
    bucket, page = _walk(cx, request, after, limit)
    spell = speller(request)
    answer = _common(request, page, limit, spell)
    answer["KeyCount"] = len(page)
    if token is not None:
        answer["ContinuationToken"] = token
    if "StartAfter" in request:
        answer["StartAfter"] = spell(request["StartAfter"])
    if page.truncated:
        answer["NextContinuationToken"] = write_token(page.end)
    return listing_xml.document(answer, spell, bucket.account if request.get("FetchOwner") else None)


@operation("ListObjects", service="s3")
def list_objects(cx: Context, request: dict[str, Any]) -> bytes:
    """List a bucket, a page at a time, by marker."""
    limit, marker = page_size(request), request.get("Marker", "")
    bucket, page = _walk(cx, request, marker, limit)
    spell = speller(request)
    answer = _common(request, page, limit, spell)
    answer["Marker"] = spell(marker)
    if page.truncated and request.get("Delimiter"):  # without one, the last key is the next marker
        answer["NextMarker"] = spell(page.end)
    return listing_xml.document(answer, spell, bucket.account)


def page_size(request: dict[str, Any]) -> int:
    """Read MaxKeys; S3 gives no more than 1,000."""
    requested: int = request.get("MaxKeys", MOST_KEYS)
    if requested < 0:
        raise failures.invalid_argument(
            "Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", requested
        )
    return min(requested, MOST_KEYS)


def _walk(cx: Context, request: dict[str, Any], after: str, limit: int) -> tuple[Bucket, Page]:
    bucket = access.bucket_of(cx, request, "s3:ListBucket")
    return bucket, walk(cx, bucket.name, request.get("Prefix", ""), request.get("Delimiter", ""), after, limit)


def speller(request: dict[str, Any]) -> Callable[[str], str]:
    """Return how keys are written: percent-encoded where the client asked, since XML cannot hold every character."""
    return _encoded if request.get("EncodingType") == "url" else str


def _encoded(text: str) -> str:
    return text if PLAIN.fullmatch(text) else quote(text, safe="/")


def _common(request: dict[str, Any], page: Page, limit: int, spell: Callable[[str], str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Name": request["Bucket"],
        "Prefix": spell(request.get("Prefix", "")),
        "MaxKeys": min(request.get("MaxKeys", limit), MOST_KEYS),
        "IsTruncated": page.truncated,
    }
    if request.get("Delimiter"):
        answer["Delimiter"] = spell(request["Delimiter"])
    if "EncodingType" in request:
        answer["EncodingType"] = request["EncodingType"]
    if page.summaries:
        answer["Contents"] = page.summaries
    if page.prefixes:
        answer["CommonPrefixes"] = page.prefixes
    return answer
