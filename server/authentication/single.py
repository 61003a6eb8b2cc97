"""One set of credentials per request: doubled or mixed ones are refused, so that no two steps can read different ones.

Source: S3 API Reference, "Authenticating Requests"; S3's sentence for several mechanisms as its users report it.
Unverified: AWS's words for a doubled parameter or header, for which those of a malformed signature stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from backends.core.errors import AwsError
from server.authentication import failures

if TYPE_CHECKING:
    from server.exchange import Exchange

HEADERS = {
    b"authorization", b"date", b"host", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"x-amz-target",
    b"content-type",
}  # fmt: skip
FIELDS = {"Credential", "SignedHeaders", "Signature"}
V4 = {
    "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-signedheaders", "x-amz-date", "x-amz-expires",
    "x-amz-security-token",
}  # fmt: skip
V2 = {"awsaccesskeyid", "signature", "expires"}
ONLY_ONE = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the "
    "Authorization header should be specified"
)


async def check(exchange: Exchange) -> None:
    """Raise AWS's error for a request with more than one set of credentials, or with a part of them twice."""
    request, service = exchange.request, exchange.service
    names = [name for name, _ in exchange.scope["headers"] if name in HEADERS]
    if len(set(names)) != len(names):
        raise failures.refused("malformed", service, "")
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("AWS4-"):
        given = [part.strip().partition("=")[0] for part in authorization.partition(" ")[2].split(",") if part.strip()]
        if len(set(given)) != len(given) or not set(given) <= FIELDS:
            raise failures.refused("malformed", service, "")
    if not request.query_string:
        return
    query = request.query_string.decode("latin-1")
    parameters = [name.lower() for name, _ in parse_qsl(query, keep_blank_values=True) if name.lower() in V4 | V2]
    if len(set(parameters)) != len(parameters):
        raise failures.refused("malformed", service, "")
    mechanisms = (
        bool(authorization),
        bool({"x-amz-credential", "x-amz-signature"} & set(parameters)),
        bool({"awsaccesskeyid"} & set(parameters)),
    )
    if sum(mechanisms) > 1:
        if service == "s3":
            raise AwsError("InvalidArgument", ONLY_ONE, 400)
        raise failures.refused("malformed", service, "")
