"""SSE-C: objects encrypted with a key that the client brings with every request and that is never kept.

AES-256 in counter mode, so that a range can be read without what stands before it; each upload (each part of one) has a
nonce of its own. Source of headers and errors: S3 User Guide, "Using server-side encryption with customer-provided keys".
Real S3 refuses such requests over plain HTTP; this server, which listens on this machine, does not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import failures
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

    from backends.core.objects import StoredObject

KEY_BYTES = 32
BLOCK = 16


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key that came with a request."""

    key: bytes
    md5: str

    def cipher(self, nonce: bytes, offset: int = 0) -> CipherContext:
        """Return what encrypts and decrypts from a byte offset on: in counter mode the two are one."""
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256
        from cryptography.hazmat.primitives.ciphers.modes import CTR

        counter = (int.from_bytes(nonce, "big") + offset // BLOCK) % (1 << 128)
        context = Cipher(AES256(self.key), CTR(counter.to_bytes(BLOCK, "big"))).encryptor()
        context.update(bytes(offset % BLOCK))
        return context

    def encryptor(self) -> tuple[CipherContext, str]:
        """Begin a new piece; give what encrypts it, and its nonce in base64."""
        nonce = os.urandom(BLOCK)
        return self.cipher(nonce), base64.b64encode(nonce).decode()

    def kept(self, nonces: list[str]) -> dict[str, Any]:
        """Return what the object's `info` keeps under `Customer`."""
        return {"KeyMD5": self.md5, "Nonces": nonces}


def of_request(request: dict[str, Any], prefix: str = "") -> CustomerKey | None:
    """Read and check the three headers; None without them. `prefix`: CopySource, for the source of a copy."""
    given = [request.get(f"{prefix}SSECustomer{name}") for name in ("Algorithm", "Key", "KeyMD5")]
    if given == [None, None, None]:
        return None
    algorithm, key, md5 = given
    if algorithm is None:
        raise _missing("a valid encryption algorithm")
    if algorithm != "AES256":
        text = "The encryption request you specified is not valid. Supported value: AES256."
        raise AwsError("InvalidEncryptionAlgorithmError", text, 400)
    if key is None:
        raise _missing("an appropriate secret key")
    if md5 is None:
        raise _missing("the client calculated MD5 of the secret key")
    raw = _decoded(key)
    if len(raw) != KEY_BYTES:
        raise failures.invalid_argument("The secret key was invalid for the specified algorithm.")
    if not hmac.compare_digest(hashlib.md5(raw, usedforsecurity=False).digest(), _decoded(md5)):
        text = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise failures.invalid_argument(text)
    if not prefix and "ServerSideEncryption" in request:
        text = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
        raise failures.invalid_argument(text, "x-amz-server-side-encryption", request["ServerSideEncryption"])
    return CustomerKey(raw, base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode())


def _missing(what: str) -> AwsError:
    text = f"Requests specifying Server Side Encryption with Customer provided keys must provide {what}."
    return failures.invalid_argument(text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def of_reader(stored: StoredObject, request: dict[str, Any], prefix: str = "") -> CustomerKey | None:
    """Return the key that reads an object; raise where it needs one, another one, or none."""
    key = of_request(request, prefix)
    kept = stored.info.get("Customer")
    if kept is None:
        if key is not None:
            raise failures.invalid_request("The encryption parameters are not applicable to this object.")
        return None
    if key is None:
        raise failures.invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object."
        )
    check_same(kept["KeyMD5"], key)
    return key


def check_same(md5: str, key: CustomerKey) -> None:
    """Raise AccessDenied for a key that is not the one an object, or an upload, was begun with."""
    if not hmac.compare_digest(md5, key.md5):
        raise failures.access_denied()


class Reading:
    """Decrypts an object's bytes in order, from one offset on, across the pieces it was uploaded in."""

    def __init__(self, stored: StoredObject, key: CustomerKey, first: int) -> None:
        sizes = stored.info.get("Parts") or [stored.size]
        self._pieces = list(zip(sizes, stored.info["Customer"]["Nonces"], strict=True))
        self._key, self._left = key, 0
        while self._pieces and first >= self._pieces[0][0]:
            first -= self._pieces.pop(0)[0]
        self._begin(first)

    def _begin(self, offset: int) -> None:
        if self._pieces:
            size, nonce = self._pieces.pop(0)
            self._left, self._cipher = size - offset, self._key.cipher(base64.b64decode(nonce), offset)

    def update(self, block: bytes) -> bytes:
        """Decrypt what comes next."""
        out = []
        while block:
            while not self._left:
                self._begin(0)
            some, block = block[: self._left], block[self._left :]
            self._left -= len(some)
            out.append(self._cipher.update(some))
        return b"".join(out)
