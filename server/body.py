"""Bodies on the wire: read whole up to a limit, streamed in constant memory, and sent."""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.types import HttpRequest, HttpResponse, Receive, Scope, Send


DRAIN_FACTOR = 32


class ClientGoneError(ConnectionError):
    """The client closed the connection before its body had arrived."""


async def read_whole(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read a body of at most `limit` bytes; raise 413 for a larger one.

    A larger one is read on and thrown away, so that the client, which is still sending, gets its 413 and not a reset
    connection; one that never ends is cut.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    first: bytes = message.get("body", b"")
    size = len(first)
    if not message.get("more_body") and size <= limit:
        return first
    declared = next((int(v) for k, v in scope["headers"] if k == b"content-length" and v.isdigit()), 0)
    chunks = [first]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        size += len(message.get("body", b""))
        if size <= limit and declared <= limit:
            chunks.append(message.get("body", b""))
        elif size > DRAIN_FACTOR * limit:
            break
    if size > limit:
        raise _too_large(limit)
    return b"".join(chunks)


def _too_large(limit: int) -> AwsError:
    return AwsError("RequestEntityTooLargeException", f"The request body exceeds {limit} bytes.", status=413)


def unpacked(request: HttpRequest, limit: int) -> bytes:
    """Unpack a gzipped body, as botocore sends large metrics; 413 when it holds more than `limit` bytes."""
    if request.headers.get("content-encoding") != "gzip":
        return request.body
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(request.body, limit + 1)
    except zlib.error as error:
        raise AwsError("SerializationException", "The request body is not in gzip.") from error
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


class BodyStream:
    """A body as it arrives; raises ClientGoneError when it ends early. `started`: somebody has asked for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.started = self._ended = False

    def __aiter__(self) -> BodyStream:
        return self

    async def __anext__(self) -> bytes:
        """Return the next chunk."""
        self.started = True
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._ended = not message.get("more_body")
            chunk: bytes = message.get("body", b"")
            if chunk:
                return chunk
        raise StopAsyncIteration


def stream(receive: Receive) -> BodyStream:
    """Return a request's body as a stream."""
    return BodyStream(receive)


@lru_cache(1024)
def _name(name: str) -> bytes:
    return name.lower().encode("latin-1")


async def send(response: HttpResponse, method: str, send: Send, receive: Receive | None = None) -> None:
    """Send a response. A body without a length goes out chunked; HEAD and 204/304 carry none.

    `receive`, once the request's body is read: a streamed body is closed, not read on, when the client has gone.
    """
    headers = [(_name(name), value.encode("utf-8")) for name, value in response.headers]
    content = response.body
    if isinstance(content, bytes):
        if response.status not in {204, 304} and b"content-length" not in dict(headers):
            headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else content})
        return
    start: dict[str, Any] = {"type": "http.response.start", "status": response.status, "headers": headers}
    await send(start)
    if receive is None:
        async for chunk in content:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    elif not await _send_while_heard(content, send, receive):
        return
    await send({"type": "http.response.body", "body": b""})


async def _send_while_heard(content: AsyncIterator[bytes], send: Send, receive: Receive) -> bool:
    """Send a stream's chunks until its end or until the client goes; return whether it stayed."""
    gone = asyncio.ensure_future(_gone(receive))
    coming: asyncio.Future[bytes] | None = None
    chunks = aiter(content)
    try:
        while True:
            coming = asyncio.ensure_future(_following(chunks))
            await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return False
            try:
                chunk = coming.result()
            except _EndedError:
                return True
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        gone.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


class _EndedError(Exception):
    """A stream's end: StopAsyncIteration does not pass through a future."""


async def _following(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        raise _EndedError from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
