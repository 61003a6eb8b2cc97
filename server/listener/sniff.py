"""A connection's first bytes say what it speaks: TLS (a handshake record), a proxy's `CONNECT`, or plain HTTP.

Plain HTTP costs a connection one small object and nothing per request: once the first bytes are seen, the transport
speaks to uvicorn's protocol directly. TLS is asyncio's own `SSLProtocol`, fed by hand because the event loops' `start_tls`
cannot be given bytes that have been read already.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio.sslproto import SSLProtocol
from typing import TYPE_CHECKING, Any

from server.listener import hosts, tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.settings import Settings
    from server.listener.authority import Authority

log = logging.getLogger("localmaker.proxy")
HANDSHAKE = 0x16  # RFC 8446, 5.1: the content type of a TLS record that begins a connection
CONNECT = b"CONNECT "
HEAD_END = b"\r\n\r\n"
MOST_HEAD_BYTES = 16 * 1024


class SniffingProtocol(asyncio.Protocol):
    """One connection until it is known what it speaks. `connections` is uvicorn's set of what to close at the end."""

    def __init__(
        self, make_http: Callable[[], Any], authority: Authority, connections: set[Any], settings: Settings
    ) -> None:
        self._make_http = make_http
        self._authority = authority
        self._connections = connections
        self._settings = settings
        self._leading_out: asyncio.Task[None] | None = None
        self._transport: Any = None
        self._head = b""
        self._tunnelled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget a connection that never said what it wanted, or did not wait for another host's answer."""
        self._connections.discard(self)
        if self._leading_out is not None:
            self._leading_out.cancel()

    def shutdown(self) -> None:
        """Close: the server ends, and nothing is on its way here."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Choose by the first bytes."""
        if self._head:
            data, self._head = self._head + data, b""
        if data[0] == HANDSHAKE:
            self._speak_tls(data)
        elif not self._tunnelled and CONNECT.startswith(data[: len(CONNECT)]):
            self._read_connect(data)
        else:
            self._speak_http(data)

    def _speak_http(self, data: bytes) -> None:
        self._connections.discard(self)
        http = self._make_http()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        http.data_received(data)

    def _speak_tls(self, data: bytes) -> None:
        self._connections.discard(self)
        nobody: Any = None  # a future that would be told of the handshake
        context = self._authority.context(self._transport.get_extra_info("sockname")[0])
        tls = SSLProtocol(asyncio.get_running_loop(), self._make_http(), context, nobody, server_side=True)
        self._transport.set_protocol(tls)
        tls.connection_made(self._transport)
        rest = memoryview(data)
        while rest:
            buffer = tls.get_buffer(len(rest))
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            tls.buffer_updated(size)
            rest = rest[size:]

    def _read_connect(self, data: bytes) -> None:
        head, end, rest = data.partition(HEAD_END)
        if not end:
            self._head = data
            if len(data) > MOST_HEAD_BYTES:
                self._refuse(400, "Bad Request", "The head of this CONNECT request does not end.")
            return
        words = head.split(b"\r\n", 1)[0].split(b" ")
        target = words[1].decode("latin-1")
        if self._leads_here(target):
            self._tunnelled = True
            self._transport.write(tunnel.ESTABLISHED)
            if rest:
                self.data_received(rest)
            return
        self._transport.pause_reading()
        self._leading_out = asyncio.get_running_loop().create_task(self._lead_out(target, head, rest))

    async def _lead_out(self, target: str, head: bytes, rest: bytes) -> None:
        """Connect this client with a host that is not AWS's, or refuse to."""
        connections, own = self._connections, self._transport.get_extra_info("sockname")[1]
        near = tunnel.Tunnel(transport=self._transport, connections=connections)
        others = sum(isinstance(connection, tunnel.Tunnel) for connection in connections)
        try:
            host, port = tunnel.place_of(target)
            tunnel.judge_client(self._settings, self._transport.get_extra_info("peername")[0], head, target, others)
            far = await tunnel.connect(host, port, own, near)
        except tunnel.RefusedError as error:
            log.warning("refused to connect to %s: %s", target, error)
            self._refuse(error.status, error.phrase, str(error))
            return
        except asyncio.CancelledError:  # the client has gone
            near.close_other()
            raise
        connections.discard(self)
        connections.add(near)
        self._leading_out = None
        far.transport.write(rest)
        self._transport.set_protocol(near)
        self._transport.resume_reading()

    def _leads_here(self, target: str) -> bool:
        """Return whether a target, `host:port`, is one that this server stands in for."""
        host, _, port = target.rpartition(":")
        own = self._transport.get_extra_info("sockname")[1]
        if port not in {"80", "443", str(own)}:
            return False
        return hosts.aws_host(host) is not None or hosts.is_loopback(hosts.name_of(host))

    def _refuse(self, status: int, phrase: str, text: str) -> None:
        body = text.encode("utf-8", "replace") + b"\n"
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
        if status == 407:  # git asks without a key first, and wants to be told which kind is expected
            head += '\r\nProxy-Authenticate: Basic realm="localmaker"'
        self._transport.write(head.encode("latin-1") + HEAD_END + body)
        self._transport.close()
