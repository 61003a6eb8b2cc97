"""Signature Version 2 of S3, which boto3 still presigns us-east-1's URLs with.

Source: S3 User Guide, "Signing and authenticating REST requests (AWS signature version 2)".
"""

from __future__ import annotations

import base64
import hmac
import time
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from server.authentication import credentials, failures
from server.listener import hosts

if TYPE_CHECKING:
    from backends.core.keys import Key
    from server.exchange import Exchange
    from server.types import HttpRequest

SKEW = timedelta(minutes=15)
SIGNED_QUERY = frozenset((
    "accelerate", "acl", "cors", "defaultObjectAcl", "location", "logging", "partNumber", "policy", "requestPayment",
    "torrent", "versioning", "versionId", "versions", "website", "uploads", "uploadId", "response-content-type",
    "response-content-language", "response-expires", "response-cache-control", "response-content-disposition",
    "response-content-encoding", "delete", "lifecycle", "tagging", "restore", "storageClass", "notification",
    "replication", "analytics", "metrics", "inventory", "select", "select-type", "object-lock",
))  # fmt: skip


def verify(exchange: Exchange, key: Key) -> None:
    """Raise S3's error unless the key signed this request, in a header or (until it expires) in the query."""
    request = exchange.request
    if exchange.service != "s3":
        raise failures.refused("malformed", exchange.service, "")
    signer = credentials.of(request)
    given, token, moment = signer.signature, signer.token, signer.ends
    if not signer.presigned:
        moment = "" if "x-amz-date" in request.headers else request.headers.get("date", "")
        _check_time(request.headers.get("x-amz-date", moment))
    elif not moment:
        raise failures.refused("missing", "s3", "")
    if not hmac.compare_digest(key.session_token.encode(), token.encode("utf-8", "surrogateescape")):
        raise failures.refused("token", "s3", key.access_key)
    text = _string_to_sign(exchange, moment, token, _path(exchange))
    if not (_is_signed(text, key, given) or _is_signed(_of_bucket(exchange, moment, token), key, given)):
        raise failures.refused("mismatch", "s3", key.access_key, StringToSign=text, SignatureProvided=given)


def _is_signed(text: str, key: Key, given: str) -> bool:
    digest = hmac.digest(key.secret_key.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    return hmac.compare_digest(base64.b64encode(digest), given.encode("utf-8", "surrogateescape"))


def _of_bucket(exchange: Exchange, moment: str, token: str) -> str:
    """Write what boto3 signs of a bucket: `/bucket/`, where it sends `/bucket`. Both mean the same."""
    path = _path(exchange)
    return _string_to_sign(exchange, moment, token, f"{path}/" if path.count("/") == 1 and path != "/" else path)


def _check_time(text: str) -> None:
    try:
        signed = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError):
        message = "AWS authentication requires a valid Date or x-amz-date header"
        raise failures.refused("missing", "s3", "", message) from None
    if abs(time.time() - signed.timestamp()) > SKEW.total_seconds():
        raise failures.refused("skewed", "s3", "", RequestTime=text)


def _string_to_sign(exchange: Exchange, moment: str, token: str, path: str) -> str:
    """Write what was signed; a session's token is signed as a header where it comes in the query, too."""
    headers = exchange.request.headers
    amz = {name: text for name, text in headers.items() if name.startswith("x-amz-")}
    if token:
        amz["x-amz-security-token"] = token
    return "\n".join((
        exchange.request.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        moment,
        *(f"{name}:{text.strip()}" for name, text in sorted(amz.items())),
        _resource(exchange.request, path),
    ))  # fmt: skip


def _path(exchange: Exchange) -> str:
    """Return the path as it was sent, with the bucket in front where the host names it."""
    raw: bytes = exchange.scope.get("raw_path") or exchange.request.raw_path
    bucket = hosts.bucket_of(exchange.request.host)
    return (f"/{bucket}" if bucket else "") + raw.decode("latin-1")


def _resource(request: HttpRequest, path: str) -> str:
    """Write a path, and those of the query that count."""
    pairs = []
    for part in request.query_string.decode("latin-1").split("&"):
        name, equals, value = part.partition("=")
        if name in SIGNED_QUERY:
            pairs.append(name + (f"={unquote(value)}" if equals and value else ""))
    return path + (f"?{'&'.join(sorted(pairs))}" if pairs else "")
