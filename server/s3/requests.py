"""What is read of every request to S3 before its operation is known: its path, its length, its bucket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from backends.aws.s3 import failures
from backends.core.errors import AwsError
from server import body, presigned, route, steps

if TYPE_CHECKING:
    from backends.core.objects import Bucket
    from server.exchange import Exchange
    from server.types import HttpRequest


API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")  # Lambda's and others' paths begin with one


def check_path(request: HttpRequest) -> None:
    """Raise InvalidURI for a path or a query that is not UTF-8."""
    for raw in (request.raw_path, request.query_string):
        try:
            if b"%" in raw or not raw.isascii():
                unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise failures.invalid_uri(raw.decode("latin-1")) from None


def check_length(request: HttpRequest) -> None:
    """Raise MissingContentLength for an upload that says nothing of its size."""
    if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
        raise AwsError("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)


async def read_path(exchange: Exchange) -> None:
    """Bring the path into path style; raise for one that is no text, or whose presigned URL has run out."""
    request = exchange.request
    check_path(request)
    route.virtual_host(request)
    if request.method != "OPTIONS":  # a preflight is nobody's: the request that follows is looked at
        presigned.check_expiry(request)


async def read_body(exchange: Exchange) -> None:
    """Read the body, or let the operation stream it."""
    request = exchange.request
    assert exchange.operation is not None
    if exchange.body_read:
        return
    if exchange.operation.has_streaming_input:
        check_length(request)
        request.stream = body.stream(exchange.receive)
    elif has_body(request):
        await steps.read_whole(exchange)


def has_body(request: HttpRequest) -> bool:
    """Return whether a body follows the headers."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def path_of(exchange: Exchange) -> tuple[str, str, str]:
    """Split a request's path into bucket, slash and key."""
    return unquote(exchange.request.raw_path.decode("latin-1")).removeprefix("/").partition("/")


def is_for_missing_bucket(request: HttpRequest, name: str, key: str) -> bool:
    """Return whether a request that nobody signed is for a bucket, and not to make it; other services have paths, too."""
    if not name or (request.method == "PUT" and not key) or API_VERSION.fullmatch(name):
        return False
    return not route.is_runtime(request)


async def named_bucket(exchange: Exchange) -> Bucket | None:
    """Return the bucket that a request's path names; None where there is none."""
    name = path_of(exchange)[0]
    try:
        return await bucket(exchange, name) if name and exchange.identity is not None else None
    except AwsError:
        return None


async def bucket(exchange: Exchange, name: str) -> Bucket:
    """Return a bucket by its name. Raises NoSuchBucket."""
    named = await exchange.kernel.db.read(
        lambda tx: exchange.kernel.objects.bucket(exchange.context().inside(tx), name)
    )
    if named is None:
        raise failures.no_such_bucket(name)
    return named
