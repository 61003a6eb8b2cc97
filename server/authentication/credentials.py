"""What a request says of who signed it, read once: identification, expiry, verification and routing read the same.

Sources: S3 API Reference, "Authenticating Requests" and "POST Object"; S3 User Guide, "Signing and authenticating REST
requests (AWS signature version 2)". Nothing is verified here; doubled or mixed credentials are refused by `single.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from server.types import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.types import HttpRequest


NOBODY = Credentials()


def of(request: HttpRequest) -> Credentials:
    """Return a request's credentials: of its Authorization header, else of its query."""
    if request.credentials is None:
        request.credentials = _read(request)
    return request.credentials


def _read(request: HttpRequest) -> Credentials:
    authorization = request.headers.get("authorization", "")
    token = request.headers.get("x-amz-security-token", "")
    if authorization.startswith("AWS4-"):
        return of_header(authorization, token)
    if authorization.startswith("AWS "):
        key, _, signature = authorization[4:].partition(":")
        return Credentials(2, key, signature=signature, token=token)
    if not request.query_string:
        return NOBODY
    given = query_of(request)
    if given.get("X-Amz-Credential"):
        return _version_4(given, "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Security-Token")
    if given.get("AWSAccessKeyId"):
        return Credentials(
            2, given["AWSAccessKeyId"], signature=given.get("Signature", ""), token=given.get("x-amz-security-token", ""),
            ends=given.get("Expires", ""), presigned=True,
        )  # fmt: skip
    return NOBODY


def of_header(authorization: str, token: str = "") -> Credentials:
    """Return what an Authorization header of Version 4 says."""
    algorithm, _, rest = authorization.partition(" ")
    pieces = (part.strip().partition("=") for part in rest.split(","))
    given = {name: value for name, _, value in pieces}
    key, scope = _split(given.get("Credential", ""))
    return Credentials(
        4, key, scope, given.get("Signature", ""), algorithm, given.get("SignedHeaders", ""), token=token
    )  # fmt: skip


def of_form(fields: Mapping[str, str]) -> Credentials:
    """Return what a form's fields (names in lower case) say."""
    if "x-amz-credential" in fields or "x-amz-signature" in fields:
        names = ("x-amz-credential", "x-amz-signature", "x-amz-algorithm", "x-amz-security-token")
        return _version_4({**fields, "X-Amz-Date": fields.get("x-amz-date", "")}, *names)
    if "awsaccesskeyid" in fields or "signature" in fields:
        key, token = fields.get("awsaccesskeyid", ""), fields.get("x-amz-security-token", "")
        return Credentials(2, key, signature=fields.get("signature", ""), token=token)
    return NOBODY


def _version_4(given: Mapping[str, str], credential: str, signature: str, algorithm: str, token: str) -> Credentials:
    key, scope = _split(given.get(credential, ""))
    return Credentials(
        4, key, scope, given.get(signature, ""), given.get(algorithm, ""), given.get("X-Amz-SignedHeaders", ""),
        given.get("X-Amz-Date", ""), given.get(token, ""), presigned=True,
    )  # fmt: skip


def query_of(request: HttpRequest) -> dict[str, str]:
    """Return a query's parameters by their decoded names. Of a doubled one the first: those that count are refused."""
    pairs = parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True)
    return dict(reversed(pairs))


@lru_cache(1024)
def _split(credential: str) -> tuple[str, str]:
    parts = credential.rsplit("/", 4)  # a key never holds a slash, but be forgiving about what stands before the date
    return parts[0], "/".join(parts[1:])
