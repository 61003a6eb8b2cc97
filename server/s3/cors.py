"""Requests of pages of other origins: which of them may come, preflights, and what lets a page read an answer.

Source: S3 User Guide, "Using cross-origin resource sharing (CORS)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.aws.s3 import cors
from server import browser
from server.s3 import requests
from server.types import HttpResponse

if TYPE_CHECKING:
    from server.exchange import Exchange


async def refuse_foreign(exchange: Exchange) -> None:
    """Refuse a page of another origin, unless it asks a bucket whose CORS rules let it in, or asks what they are."""
    if exchange.foreign and "origin" in exchange.request.headers:
        if exchange.request.method == "OPTIONS":
            return
        bucket = await requests.named_bucket(exchange)
        if bucket is not None and cors.answer_headers(
            bucket, exchange.request.headers["origin"], exchange.request.method
        ):
            return
    await browser.refuse_foreign(exchange)


async def preflight(exchange: Exchange) -> None:
    """Answer a preflight that names a bucket."""
    name, _, key = requests.path_of(exchange)
    if exchange.request.method != "OPTIONS" or not name:
        return
    bucket = await requests.bucket(exchange, name)
    headers = cors.preflight(bucket, exchange.request.headers, of_object=bool(key))
    exchange.response = HttpResponse(200, [("x-amz-request-id", exchange.request_id), *headers.items()])


async def add_headers(exchange: Exchange, response: HttpResponse) -> None:
    """Add to an answer of S3's what lets a page of another origin read it, where the bucket has rules for that."""
    request = exchange.request
    if exchange.service != "s3" or "origin" not in request.headers or request.method == "OPTIONS":
        return
    if request.headers["origin"] in browser.listed(exchange.kernel.settings.allowed_origins):
        return  # `browser.add_headers` adds them
    bucket = await requests.named_bucket(exchange)
    if bucket is not None:
        response.headers += cors.answer_headers(bucket, request.headers["origin"], request.method).items()
