"""Who really sent a request: `LOCALMAKER_AUTH=enforce` verifies every signature (manual: docs/authentication.md).

`credentials.py` reads who signed; `canonical.py` writes what was signed (Signature Version 4), `sigv4.py` reads and verifies it, from a header or from a
presigned URL; `chunks.py` verifies bodies as they arrive; `sigv2.py` is what boto3 still presigns us-east-1 with;
`keyring.py` finds the secrets; `failures.py` has AWS's words, by protocol. Independent of botocore, which is the oracle.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from server.authentication import credentials, failures, sigv2, sigv4
from server.authentication.keyring import ADMIN_TOKEN, find

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from server.exchange import Exchange
    from server.types import HttpRequest

OPEN = ("/health", "/init", "/ca.pem")
"""What of the admin API tells nobody's secrets, and clients need before they have a key."""


async def authenticate(exchange: Exchange) -> None:
    """Refuse a key that is not, or no longer, good; under `enforce`, whatever is not signed by a known one."""
    identity, service = exchange.identity, exchange.service
    assert identity is not None
    key = identity.caller.access_key
    if identity.refused:
        raise failures.refused(identity.refused, service, key)
    if exchange.kernel.settings.auth == "off":
        return
    if not key:
        raise failures.refused("missing", service, key)
    known = find(exchange.kernel, key)
    if known is None:
        raise failures.refused("unknown", service, key)
    if credentials.of(exchange.request).version == 2:
        sigv2.verify(exchange, known)
    else:
        sigv4.verify(exchange, known)


def check_admin(kernel: Kernel, request: HttpRequest) -> None:
    """Under `enforce`, let only the command line, which can read the data directory, see or change the server itself."""
    if kernel.settings.auth == "off" or (request.method in {"GET", "HEAD"} and request.path.endswith(OPEN)):
        return
    sent = request.headers.get("authorization", "")
    if not hmac.compare_digest(sent.encode(), f"Bearer {ADMIN_TOKEN.of(kernel)}".encode()):
        raise failures.refused("missing", "s3", "")
