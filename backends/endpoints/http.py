"""The HTTP client of the hot path: POST to a container over connections that are kept, straight on httptools.

Through aiohttp an invocation took 437 µs of the server's CPU, more than the model, its server and ours together;
`bench/README.md` has the figures. One request at a time on a connection, never a retry: an invocation may have effects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

KEEP_ALIVE_S = 1.5  # less than gunicorn's 2 s and uvicorn's 5: whoever hangs up first must be us, or a request is lost
CONNECT_S = (
    3.0  # a container on this machine answers a first packet at once, or, its backlog full, a second one after 1 s
)
MOST_WAITING_BYTES = 1 << 20
"""A streamed answer whose reader is slow is not read further than this."""


class NoAnswerError(ConnectionError):
    """Nothing answered: no connection, or it ended before the answer's header was whole."""


class BrokenAnswerError(ConnectionError):
    """The answer broke off, or is not HTTP."""


class Reply:
    """One answer. `headers` have lower-case names. `body` is whole once the answer is, unless it is streamed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""


class _Connection(asyncio.Protocol):
    """One connection to a container, and the answer that is on its way over it."""

    __slots__ = (
        "_chunks", "_ended", "_failure", "_headers", "_limit_bytes", "_parser", "_paused", "_reply", "_size", "_streamed", "_transport",
        "_waiter", "closed", "idle_since", "reusable",
    )  # fmt: skip

    def __init__(self) -> None:
        self._transport: Any = None
        self._parser: Any = None
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: deque[bytes] = deque()
        self._failure: ConnectionError | None = None
        self._streamed = self._paused = self._ended = False
        self._size = 0
        self.closed = self.reusable = False
        self.idle_since = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport, self._parser = transport, httptools.HttpResponseParser(self)

    def send(self, request: bytes, *, streamed: bool = False, limit_bytes: int = 0) -> asyncio.Future[None]:
        """Send a request; the future ends with the answer, or with its header when it is `streamed`.

        `limit_bytes`: what a whole answer may have; one that goes on is broken off.
        """
        self._reply, self._headers, self._chunks = Reply(), [], deque()
        self._limit_bytes = limit_bytes
        self._streamed, self._size, self._paused, self._ended, self.reusable = streamed, 0, False, False, False
        self._failure = None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiter

    @property
    def reply(self) -> Reply:
        """The answer to the last request."""
        assert self._reply is not None
        return self._reply

    def close(self) -> None:
        """Hang up; what is under way is given up."""
        self.closed = True
        self._reply = self._waiter = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._ended:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the answer is not HTTP: {error}")

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed = True
        if self._reply is None or self._ended:
            return
        headers = self._reply.headers
        if self._reply.status and "content-length" not in headers and "transfer-encoding" not in headers:
            self._finish()  # such an answer ends with its connection
        else:
            self._fail("the connection was closed")

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.reply.headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in self._headers}
            self.reply.status = status
            if self._streamed:
                self._wake()
        self._headers = []

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if not self._streamed:
            if self._size > self._limit_bytes:
                self._chunks.clear()
                self._fail(f"the answer is longer than {self._limit_bytes} bytes")
                self.closed = True
                self._transport.abort()
        else:
            if self._size > MOST_WAITING_BYTES and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            self._wake()

    def on_message_complete(self) -> None:
        if self.reply.status and not self._ended:  # else it was 100 Continue or the like
            self.reusable = bool(self._parser.should_keep_alive())
            self._finish()

    def _finish(self) -> None:
        self._ended = True
        if not self._streamed:
            self.reply.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._wake()

    def _fail(self, text: str) -> None:
        self._ended, self.reusable = True, False
        self._failure = (BrokenAnswerError if self.reply.status else NoAnswerError)(text)
        if self._waiter is not None and not self._waiter.done() and not (self._streamed and self.reply.status):
            self._waiter.set_exception(self._failure)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body of a streamed answer as it comes. Raises BrokenAnswerError."""
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                if self._paused and self._size <= MOST_WAITING_BYTES // 2:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class Client:
    """The connections of one event loop, by address."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[_Connection]] = {}
        self._sweeping = False

    async def post(
        self, address: tuple[str, int], path: str, headers: Mapping[str, str], body: bytes, limit_bytes: int,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> Reply:  # fmt: skip
        """Ask and return the whole answer, of `limit_bytes` at most. NoAnswerError, BrokenAnswerError; cancelled, it hangs up.

        `has_ended`: whether who is meant is gone, and the address perhaps another's.
        """
        connection = await self._connection(address, has_ended)
        try:
            await connection.send(_request(address, path, headers, body), limit_bytes=limit_bytes)
        except BaseException:
            connection.close()
            raise
        reply = connection.reply
        self._give_back(address, connection)
        return reply

    async def stream(
        self, address: tuple[str, int], path: str, headers: Mapping[str, str], body: bytes,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> tuple[Reply, AsyncGenerator[bytes]]:  # fmt: skip
        """Ask and give the answer's header, and its body as it comes: read it to its end, or close it."""
        connection = await self._connection(address, has_ended)
        try:
            await connection.send(_request(address, path, headers, body), streamed=True)
        except BaseException:
            connection.close()
            raise
        return connection.reply, self._chunks(address, connection)

    async def _chunks(self, address: tuple[str, int], connection: _Connection) -> AsyncGenerator[bytes]:
        try:
            async for chunk in connection.chunks():
                yield chunk
        except BaseException:
            connection.close()
            raise
        self._give_back(address, connection)

    def close(self) -> None:
        """Hang up on everybody who is not being asked."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _connection(self, address: tuple[str, int], has_ended: Callable[[], bool]) -> _Connection:
        loop = asyncio.get_running_loop()
        idle = self._idle.get(address)
        while idle:
            connection = idle.pop()  # the last one used: the others get old and are closed
            if not connection.closed and loop.time() - connection.idle_since < KEEP_ALIVE_S:
                return connection
            connection.close()
        try:
            # A dead container's address answers nothing for as long as its neighbours remember it: no refusal, no error.
            async with asyncio.timeout(CONNECT_S):
                _, made = await loop.create_connection(_Connection, *address)
        except OSError as error:  # TimeoutError, too
            raise NoAnswerError(str(error) or f"no connection within {CONNECT_S} s") from error
        # Docker gives a dead container's IP to the next one: looked at once the connection is there, which cannot move.
        if await asyncio.to_thread(has_ended):
            made.close()
            raise NoAnswerError("the container has ended")
        return made

    def _give_back(self, address: tuple[str, int], connection: _Connection) -> None:
        if connection.closed or not connection.reusable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(address, []).append(connection)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(KEEP_ALIVE_S, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for long; look again while anything is left."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_ALIVE_S
        for address, connections in list(self._idle.items()):
            kept = [c for c in connections if c.idle_since > oldest and not c.closed]
            for connection in connections:
                if connection not in kept:
                    connection.close()
            if kept:
                self._idle[address] = kept
            else:
                del self._idle[address]
        self._sweeping = bool(self._idle)
        if self._sweeping:
            loop.call_later(KEEP_ALIVE_S, self._sweep)


def _request(address: tuple[str, int], path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nContent-Length: {len(body)}\r\n"]
    if "Accept" not in headers:
        lines.append("Accept: */*\r\n")
    lines += [f"{name}: {_one_line(value)}\r\n" for name, value in headers.items()]
    # Header values came in as latin-1 and leave as the same bytes.
    return "".join((*lines, "\r\n")).encode("latin-1", "replace") + body


def _one_line(value: str) -> str:
    """Keep a value on its line: a line end in it would begin another header."""
    return value.replace("\r", " ").replace("\n", " ") if "\r" in value or "\n" in value else value
