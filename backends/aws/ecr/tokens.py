"""The passwords of `docker login`: a token says whose key asked for it and when it ends, signed by this installation.

Nothing is kept of them, so they outlive restarts; whoever verifies one also asks whether its key is still good.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from backends.core.kernel import Kernel

USER = "AWS"
LIFETIME_S = 12 * 3600.0
LINK_S = 3600.0
"""How long the address of a layer can be read without logging in."""
_SIGNATURE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Token:
    """Who asked for a token (`access_key` is empty when the server itself did, for its engine), and when it ends."""

    access_key: str
    account: str
    expires: float


def write(kernel: Kernel, token: Token, path: str = "") -> str:
    """Write a token as a password; with a path, as one that is good for nothing but reading that."""
    body = orjson.dumps([token.access_key, token.account, token.expires])
    return base64.urlsafe_b64encode(_signature(kernel, body, path) + body).decode()


def read(kernel: Kernel, password: str, path: str = "") -> Token | None:
    """Read a password; None when this installation did not write it, or not for this path."""
    try:
        raw = base64.urlsafe_b64decode(password.encode())
    except (ValueError, binascii.Error):
        return None
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(kernel, body, path)):
        return None
    return Token(*orjson.loads(body))


def _signature(kernel: Kernel, body: bytes, path: str) -> bytes:
    return hmac.digest(kernel.secret, b"\0".join((b"ecr token", path.encode(), body)), hashlib.sha256)
