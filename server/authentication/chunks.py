"""Bodies verified on their way in: against the hash that was signed, or chunk by chunk. Constant memory.

An error is raised before the end of the body is passed on, so that nothing of it is ever kept. Source: S3 API Reference,
"Signature calculations for the Authorization header: Transferring payload in multiple chunks", and "... with trailers".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from server.authentication import canonical, failures

if TYPE_CHECKING:
    from backends.core.keys import Key
    from server.types import Receive

SIZE = re.compile(r"[0-9A-Fa-f]{1,16}")
LINE_END = b"\r\n"
MOST_LINE_BYTES = 8 * 1024
SIGNATURE = "chunk-signature="
TRAILER_SIGNATURE = "x-amz-trailer-signature"


class Body(Protocol):
    """What watches a body pass by; both raise the error of a wrong one."""

    def feed(self, data: bytes) -> None:
        """See the next bytes."""

    def end(self) -> None:
        """See the end."""


def verified(receive: Receive, body: Body) -> Receive:
    """Return a `receive` that passes a request's body on while it is verified."""

    async def checked() -> Any:
        message = await receive()
        if message["type"] == "http.request":
            body.feed(message.get("body", b""))
            if not message.get("more_body"):
                body.end()
        return message

    return checked


class HashedBody:
    """A body whose SHA-256 (hexadecimal) was signed."""

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """Hash the next bytes."""
        self._digest.update(data)

    def end(self) -> None:
        """Raise XAmzContentSHA256Mismatch for another body than was signed."""
        computed = self._digest.hexdigest()
        if not hmac.compare_digest(computed, self._expected):
            raise failures.refused(
                "body", "s3", "", ClientComputedContentSHA256=self._expected, S3ComputedContentSHA256=computed
            )


@dataclass(slots=True)
class Signer:
    """Signs chunks, each with the signature of the one before it; the first with the request's (`previous`)."""

    key: Key
    scope: str
    date: str
    previous: str

    def check(self, kind: str, hashes: tuple[str, ...], given: str) -> None:
        """Raise SignatureDoesNotMatch unless `given` is the signature of a `kind` (PAYLOAD or TRAILER)."""
        text = "\n".join((f"{canonical.ALGORITHM}-{kind}", self.date, self.scope, self.previous, *hashes))
        expected = canonical.signature(self.key.secret_key, self.scope, text)
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape")):
            raise failures.refused("mismatch", "s3", self.key.access_key, StringToSign=text, SignatureProvided=given)
        self.previous = given


class ChunkedBody:
    """An aws-chunked body with a signature in the head of each chunk, and one over the trailers where there are some.

    `trailed`: the request says that there are some.
    """

    def __init__(self, signer: Signer, *, trailed: bool = False) -> None:
        self._signer, self._trailed = signer, trailed
        self._digest = hashlib.sha256()
        self._waiting = b""
        self._left = 0  # bytes of the chunk that are still to come
        self._given = ""
        self._state = "head"
        self._trailers: list[str] = []
        self._trailer_signature: str | None = None

    def feed(self, data: bytes) -> None:
        """Go through the next bytes: chunk after chunk, line after line."""
        data = self._waiting + data
        self._waiting = b""
        while data:
            if self._state == "data" and self._left:
                self._digest.update(data[: self._left])
                passed = min(self._left, len(data))
                self._left -= passed
                data = data[passed:]
                continue
            line, end, rest = data.partition(LINE_END)
            if not end:
                self._wait(data)
                return
            self._line(line.decode("latin-1"))
            data = rest

    def _wait(self, data: bytes) -> None:
        if len(data) > MOST_LINE_BYTES:
            raise self._wrong()
        self._waiting = data

    def _line(self, line: str) -> None:
        if self._state == "head":
            size, _, extension = line.partition(";")
            if not extension.startswith(SIGNATURE):
                raise self._wrong()
            self._given = extension.removeprefix(SIGNATURE)
            if SIZE.fullmatch(size) is None:
                raise self._wrong()
            self._left = int(size, 16)
            self._digest = hashlib.sha256()
            if self._left:
                self._state = "data"
            else:
                self._check_chunk()
                self._state = "trailer"
        elif self._state == "data":  # the line end behind a chunk
            if line:
                raise self._wrong()
            self._check_chunk()
            self._state = "head"
        elif self._state == "done":
            raise self._wrong()
        elif not line:
            self._finish()
        elif line.startswith(f"{TRAILER_SIGNATURE}:"):
            self._trailer_signature = line.partition(":")[2].strip()
        else:
            name, _, value = line.partition(":")
            self._trailers.append(f"{name.strip().lower()}:{value.strip()}\n")

    def _check_chunk(self) -> None:
        self._signer.check("PAYLOAD", (canonical.EMPTY_SHA256, self._digest.hexdigest()), self._given)

    def end(self) -> None:
        """Raise unless the last chunk came, and trailers were signed."""
        if self._state == "trailer":
            self._finish()
        if self._state != "done" or self._waiting:
            raise self._wrong()

    def _finish(self) -> None:
        """Verify the trailers at the line that ends them: who reads the body may not wait for more."""
        self._state = "done"
        if self._trailers or self._trailed:
            digest = hashlib.sha256("".join(sorted(self._trailers)).encode("latin-1")).hexdigest()
            self._signer.check("TRAILER", (digest,), self._trailer_signature or "")

    def _wrong(self) -> Exception:
        return failures.refused("mismatch", "s3", self._signer.key.access_key)
