"""Signature Version 4: the canonical request, the string to sign, the signature.

Source: AWS IAM User Guide, "Create a signed AWS API request" (2026-11).
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
SPACES = re.compile(r" {2,}")


def request_text(
    method: str,
    raw_path: bytes,
    query_string: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    signed: tuple[str, ...],
    payload_hash: str,
    *,
    s3: bool,
) -> str:
    """Write the canonical request. `headers` as they came, names in lower case; `signed`: names in the order sent."""
    return "\n".join((
        method,
        path_text(raw_path, s3=s3),
        query_text(query_string),
        *_header_lines(headers, signed),
        "",
        ";".join(signed),
        payload_hash,
    ))  # fmt: skip


def path_text(raw_path: bytes, *, s3: bool) -> str:
    """Write the path: S3's encoded once, as it is; all others' without dots and empty parts, encoded twice."""
    if s3:
        return quote(unquote_to_bytes(raw_path), safe="/-_.~") or "/"
    path = raw_path.decode("latin-1") or "/"
    tidy = posixpath.normpath(path).replace("//", "/", 1)  # two slashes at the front mean something to POSIX only
    if path.endswith("/") and tidy != "/":
        tidy += "/"
    return quote(tidy, safe="/-_.~")


def query_text(query_string: bytes) -> str:
    """Write the query, sorted and encoded; a signature in it does not sign itself."""
    pairs = []
    for part in query_string.split(b"&"):
        if not part:
            continue
        name, _, value = part.partition(b"=")
        if unquote_to_bytes(name) != b"X-Amz-Signature":
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: bytes) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _header_lines(headers: Iterable[tuple[bytes, bytes]], signed: tuple[str, ...]) -> list[str]:
    values: dict[str, list[str]] = {name: [] for name in signed}
    for name, value in headers:
        wanted = values.get(name.decode("latin-1"))
        if wanted is not None:
            wanted.append(SPACES.sub(" ", value.decode("utf-8", "surrogateescape").strip()))
    return [f"{name}:{','.join(values[name])}" for name in signed]


def string_to_sign(date: str, scope: str, canonical: str) -> str:
    """Write what is signed: `date` as YYYYMMDDTHHMMSSZ, `scope` as day/region/service/aws4_request."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{date}\n{scope}\n{digest}"


@lru_cache(1024)
def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """Derive the key of a day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(secret: str, scope: str, text: str) -> str:
    """Sign a text; hexadecimal."""
    day, region, service, _ = scope.split("/")
    key = signing_key(secret, day, region, service)
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()
