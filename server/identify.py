"""Who asks: access key, account, region and signing name, read from a signature in a header or in the query.

Sources: SigV4 (`Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request`), presigned SigV4
(`X-Amz-Credential`), SigV2 (`Authorization: AWS <key>:<signature>`, `AWSAccessKeyId`). Nothing is verified here. A region that no
signature names is read from AWS's host name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from backends.core.context import DEFAULT_ACCOUNT, DEFAULT_REGION, Caller
from backends.core.keys import PREFIXES
from server.authentication import credentials, keyring
from server.listener import hosts

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from server.types import Credentials, HttpRequest

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
    return identify_signer(kernel, request, credentials.of(request))


def identify_signer(kernel: Kernel, request: HttpRequest, signer: Credentials) -> Identity:
    """Return whose a signer's key is; a region that the signature does not name is read from the request's host."""
    key, region, name = signer.key, signer.region, signer.signing_name
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
    """Return who signs with a key of their own: the same few, request after request."""
    account = key if len(key) == ACCOUNT_DIGITS and key.isascii() and key.isdigit() else DEFAULT_ACCOUNT
    return Identity(Caller(key), account, region, name)
