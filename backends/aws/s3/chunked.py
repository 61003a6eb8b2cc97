"""aws-chunked bodies: `<size>[;chunk-signature=...]`, the bytes, at the end trailers. Signatures are not verified here.

Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks" and "... Including Trailing Headers".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backends.aws.s3 import failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
LINE_BYTES = 16 * 1024


def is_chunked(headers: Mapping[str, str]) -> bool:
    """Return whether a request's body is in this coding, whatever Content-Encoding says of it."""
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def without_coding(content_encoding: str) -> str:
    """Return a Content-Encoding without aws-chunked, which belongs to the transfer; what remains is kept verbatim."""
    codings = content_encoding.split(",")
    kept = [coding for coding in codings if coding.strip().lower() != "aws-chunked"]
    return content_encoding if len(kept) == len(codings) else ",".join(kept).strip()


class _Reader:
    """Lines and counted bytes from a stream of chunks."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source, self._rest = source, b""

    async def more(self) -> None:
        try:
            self._rest += await anext(self._source)
        except StopAsyncIteration:
            raise failures.incomplete_body() from None

    async def line(self) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            if len(self._rest) > LINE_BYTES:
                raise failures.incomplete_body()
            await self.more()
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    async def some(self, most: int) -> bytes:
        if not self._rest:
            await self.more()
        block, self._rest = self._rest[:most], self._rest[most:]
        return block


async def decode(source: AsyncIterator[bytes], declared: int | None, trailers: dict[str, str]) -> AsyncIterator[bytes]:
    """Yield the bytes inside; fill `trailers` (lower-case names) at the end. IncompleteBody when it is cut short."""
    reader, total = _Reader(source), 0
    while True:
        size = (await reader.line()).partition(b";")[0]
        if SIZE.fullmatch(size) is None:  # int() would take a sign, too, and never be done with such a chunk
            raise failures.invalid_request("A chunk of the body does not begin with its size.")
        left = int(size, 16)
        if left == 0:
            break
        total += left
        while left:
            piece = await reader.some(left)
            left -= len(piece)
            yield piece
        if await reader.line():
            raise failures.incomplete_body()
    while line := await reader.line():
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip().lower()] = value.strip()
    if declared not in {None, total}:
        raise failures.incomplete_body()
