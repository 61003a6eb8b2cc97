"""Presigned URLs of objects, signed with a key of their own that stands for the context's caller and ends when they do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from backends.core import keys
from backends.core.listening import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.core.types import Context

LIFETIME_S = 900


def urls(cx: Context, objects: Iterable[tuple[str, str]]) -> list[str]:
    """Return the URL of each object, by bucket and key. Whether the caller may read it has been checked before."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    arn = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
    key = keys.issue(cx, cx.account, arn, LIFETIME_S)
    credentials = Credentials(key.access_key, key.secret_key, key.session_token)
    signer = S3SigV4QueryAuth(credentials, "s3", cx.region, expires=LIFETIME_S)
    requests = [
        AWSRequest("GET", f"{ADDRESSES.of(cx.kernel)[0]}/{bucket}/{quote(name, safe='/~')}") for bucket, name in objects
    ]
    for request in requests:
        signer.add_auth(request)
    return [str(request.url) for request in requests]
