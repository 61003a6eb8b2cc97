"""Who asks: access key, account, region and signing name, read from a signature in a header or in the query.

Sources: SigV4 (`Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request`), presigned SigV4
(`X-Amz-Credential`), SigV2 (`Authorization: AWS <key>:<signature>`, `AWSAccessKeyId`). Nothing is verified here. A region that no
signature names is read from AWS's host name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from backends.core.context import DEFAULT_ACCOUNT, DEFAULT_REGION, Caller
from backends.core.keys import PREFIXES
from server.authentication import keyring
from server.door import hosts

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from server.types import HttpRequest

ACCOUNT_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request says about who sent it. `signing_name` is empty when nothing was signed.

    `refused`: why the key is no good, `unknown` or `expired`; the service that was asked has its own word for it.
    """

    caller: Caller
    account: str
    region: str
    signing_name: str
    refused: str = ""


def identify(kernel: Kernel, request: HttpRequest) -> Identity:
    """Read the credential scope; keys that this server issued carry their account, 12-digit keys are the account.

    A key of the form that it issues but did not (or that a reset forgot) is refused: no account is anybody's to fall into.
    """
    key, region, name = _scope(request)
    if not region:
        host = hosts.aws_host(request.host)
        region = (host.region if host is not None else "") or DEFAULT_REGION
    listed = keyring.of_file(kernel, key)
    if listed is not None:
        return Identity(Caller(key, listed.arn), listed.account, region, name)
    if not key.startswith(PREFIXES):
        return _plain(key, region, name)
    issued = kernel.issued_key(key)
    if issued is None or not issued.active:
        return Identity(Caller(key), DEFAULT_ACCOUNT, region, name, "unknown")
    expired = issued.expires is not None and issued.expires < kernel.clocks.now(issued.account)
    return Identity(Caller(key, issued.arn), issued.account, region, name, "expired" if expired else "")


@lru_cache(1024)
def _plain(key: str, region: str, name: str) -> Identity:
    """Give who signs with a key of their own: the same few, request after request."""
    account = key if len(key) == ACCOUNT_DIGITS and key.isascii() and key.isdigit() else DEFAULT_ACCOUNT
    return Identity(Caller(key), account, region, name)


def _scope(request: HttpRequest) -> tuple[str, str, str]:
    authorization = request.headers.get("authorization", "")
    if authorization.startswith("AWS4-"):
        fields = (part.strip().partition("=") for part in authorization.partition(" ")[2].split(","))
        return _credential(next((value for name, _, value in fields if name == "Credential"), ""))
    if authorization.startswith("AWS "):
        return authorization[4:].split(":", 1)[0], "", "s3"
    if request.query_string:
        if scope := _query(request, "X-Amz-Credential"):
            return _credential(scope)
        if key := _query(request, "AWSAccessKeyId"):
            return key, "", "s3"
    return "", "", ""


@lru_cache(1024)
def _credential(scope: str) -> tuple[str, str, str]:
    parts = scope.rsplit("/", 4)  # a key never holds a slash, but be forgiving about what stands before the date
    if len(parts) != 5:
        return parts[0], "", ""
    key, _date, region, name, _terminator = parts
    return key, region, name


def _query(request: HttpRequest, name: str) -> str:
    return parse_qs(request.query_string.decode("latin-1")).get(name, [""])[0]
