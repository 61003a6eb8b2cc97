"""Who signed a request to S3, which also takes what nobody signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.aws.s3 import access, failures
from server import authentication, route
from server.s3 import requests

if TYPE_CHECKING:
    from server.exchange import Exchange


async def authenticate(exchange: Exchange) -> None:
    """Verify who signed.

    S3 also takes what nobody signed: preflights, forms that bring their own signature, and, in a bucket whose policy
    speaks of others, requests that this policy judges (`backends/aws/s3/access.py`). They come from no account.
    """
    assert exchange.identity is not None
    settings = exchange.kernel.settings
    if exchange.request.method == "OPTIONS":
        return  # browsers send no credentials with a preflight, but the query of a presigned URL
    if not exchange.identity.caller.access_key and "enforce" in {settings.auth, settings.iam}:
        exchange.identity = replace(exchange.identity, account="")
        name, _, key = requests.path_of(exchange)
        if route.is_upload(exchange.request) and name and not key:  # as `forms.upload` takes one
            return
        bucket = await requests.named_bucket(exchange)
        if bucket is None and requests.is_for_missing_bucket(exchange.request, name, key):
            raise failures.no_such_bucket(name)
        if bucket is not None and access.POLICY in bucket.settings:
            return
    await authentication.authenticate(exchange)
