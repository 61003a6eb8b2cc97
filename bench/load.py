"""A load generator that costs little: requests made beforehand, answers only measured out, never parsed.

A peer that closes its connection after every answer (moto's werkzeug does) is connected to again, inside the time that
is measured: that is what any client of it must do.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CUT_S = 20.0
"""A run ends so long after its time even when answers are outstanding: a peer that hangs must not hang the bench."""


@dataclass(frozen=True)
class Figures:
    """What a run measured: requests per second, median latency in ms, answers that were not 2xx or never came."""

    rate: float
    p50_ms: float
    count: int
    errors: int


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write an HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass
class _Run:
    """What the connections of one run share."""

    take: Callable[[], bytes | None]
    host: str
    port: int
    latencies: list[float]
    errors: int = 0


class _Answer(asyncio.Protocol):
    """One connection: hands each answer's status and whether the connection lives on to whoever waits."""

    def __init__(self, run: _Run, done: asyncio.Future[None]) -> None:
        self._run, self._done = run, done
        self._head, self._left = b"", -1
        self._chunked = self._closes = self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        if not self._busy:
            self._next()
        else:  # the request that found the last connection closed
            self._transport.write(self._request)  # type: ignore[attr-defined]

    def _next(self) -> None:
        request = self._run.take()
        if request is None:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._began, self._request, self._busy = time.perf_counter(), request, True
        if self._closes:
            self._closes = False
            self._transport.close()
            self._reconnect()
            return
        self._transport.write(request)  # type: ignore[attr-defined]

    def _reconnect(self) -> None:
        run, loop = self._run, asyncio.get_running_loop()
        again = _Answer(run, self._done)
        again._began, again._request, again._busy = self._began, self._request, True
        loop.create_task(loop.create_connection(lambda: again, run.host, run.port)).add_done_callback(again._opened)
        self._busy = False

    def _opened(self, task: asyncio.Task[object]) -> None:
        if task.exception() is not None and not self._done.done():
            self._done.set_exception(task.exception())  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            data, self._head = self._head[end + 4 :], self._head[:end].lower()
            self._read_head()
        if self._chunked:
            self._head = (self._head + data)[-5:]
            if self._head == b"0\r\n\r\n":
                self._finish()
            return
        self._left -= len(data)
        if self._left <= 0:
            self._finish()

    def _read_head(self) -> None:
        at = self._head.find(b"content-length:")
        self._chunked = b"transfer-encoding: chunked" in self._head
        self._closes = b"connection: close" in self._head or self._head.startswith(b"http/1.0")
        until_closed = 1 << 62
        self._left = int(self._head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else until_closed if self._closes else 0
        if self._head[9:10] != b"2":
            self._run.errors += 1
        self._head = b""

    def _finish(self) -> None:
        self._run.latencies.append(time.perf_counter() - self._began)
        self._head, self._left, self._busy = b"", -1, False
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if self._closes and self._busy and self._left > 0:  # a body that ends with its connection
            self._finish()
        elif self._busy and self._left < 0 and not self._head:  # closed without notice: ask again, as a client does
            self._reconnect()
        elif self._busy:
            self._run.errors += 1
            self._finish()


async def plainly(protocol: Callable[[], asyncio.Protocol], host: str, port: int) -> object:
    """Open a connection of plain HTTP."""
    return await asyncio.get_running_loop().create_connection(protocol, host, port)


def run(
    url: str, make: Callable[[int], bytes], connections: int, seconds: float = 60.0, count: int = 1 << 60,
    connect: Callable[[Callable[[], asyncio.Protocol], str, int], Awaitable[object]] = plainly,
) -> Figures:  # fmt: skip
    """Ask `url` for some seconds, or so many times, over so many connections; `make(n)` gives the n-th request.

    `connect` opens them, once each: through TLS, say.
    """

    async def main() -> Figures:
        made = 0
        began = time.perf_counter()
        deadline = began + seconds

        def take() -> bytes | None:
            nonlocal made
            if made >= count or time.perf_counter() > deadline:
                return None
            made += 1
            return make(made)

        parts = urlsplit(url)
        shared = _Run(take, parts.hostname or "", parts.port or 80, [])
        loop = asyncio.get_running_loop()
        finished = [loop.create_future() for _ in range(connections)]
        for done in finished:
            await connect(lambda done=done: _Answer(shared, done), shared.host, shared.port)  # type: ignore[misc]
        ended, left = await asyncio.wait(finished, timeout=seconds + CUT_S)
        took = time.perf_counter() - began
        for future in ended:
            future.result()
        answers = shared.latencies
        p50 = statistics.median(answers) * 1000 if answers else float("nan")
        return Figures(len(answers) / took, p50, len(answers), shared.errors + len(left))

    return uvloop.run(main())


def transfer(url: str, head: bytes, body: bytes | memoryview = b"") -> float:
    """Send one large request over a socket of its own, and read its answer; seconds from the first byte to the last."""
    parts = urlsplit(url)
    buffer = bytearray(1 << 20)
    with socket.create_connection((parts.hostname, parts.port), timeout=120) as connection:
        began = time.perf_counter()
        connection.sendall(head)
        if body:
            connection.sendall(body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            taken = connection.recv_into(buffer)
            assert taken, "the connection was closed before an answer came"
            answer += bytes(buffer[:taken])
        top, _, rest = answer.partition(b"\r\n\r\n")
        assert top[9:10] == b"2", top
        lines = dict(line.lower().split(b": ", 1) for line in top.split(b"\r\n")[1:])
        left = int(lines.get(b"content-length", b"0")) - len(rest)
        while left > 0:
            taken = connection.recv_into(buffer)
            assert taken, "the connection was closed in the middle of an answer"
            left -= taken
        return time.perf_counter() - began
