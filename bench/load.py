"""A load generator that costs little: keep-alive connections, requests made beforehand, answers counted by length."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Figures:
    """What a run measured: requests per second, median latency in ms, answers that were not 2xx."""

    rate: float
    p50_ms: float
    errors: int


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write an HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection(asyncio.Protocol):
    """One connection: sends the next request when the last answer is whole."""

    def __init__(self, take: Callable[[], bytes | None], latencies: list[float], errors: list[int]) -> None:
        self._take, self._latencies, self._errors = take, latencies, errors
        self._buffer = b""
        self._need = -1
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = self._take()
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if not head.startswith(b"http/1.1 2"):
                self._errors.append(1)
            self._need = end + 4 + length
        if len(self._buffer) >= self._need:
            self._latencies.append(time.perf_counter() - self._began)
            self._buffer, self._need = b"", -1
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


def run(url: str, make: Callable[[int], bytes], connections: int, seconds: float) -> Figures:
    """Ask `url` for some seconds over so many connections; `make(n)` gives the n-th request."""

    async def main() -> Figures:
        latencies: list[float] = []
        errors: list[int] = []
        count = 0
        deadline = time.perf_counter() + seconds

        def take() -> bytes | None:
            nonlocal count
            if time.perf_counter() > deadline:
                return None
            count += 1
            return make(count)

        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: _Connection(take, latencies, errors), parts.hostname, parts.port)
            for _ in range(connections)
        ]
        began = time.perf_counter()
        await asyncio.gather(*(protocol.done for _, protocol in made))
        return Figures(len(latencies) / (time.perf_counter() - began), statistics.median(latencies) * 1000, len(errors))

    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    return uvloop.run(main())
