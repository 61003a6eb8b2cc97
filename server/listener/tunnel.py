"""`CONNECT` to hosts that are not AWS's: who is passed on to them, to which addresses, and the bytes both ways.

A shell that `localmaker env` made sends all HTTPS through this server, `pip` and `git` included. Passed on is who connects from this
machine's loopback and shows the installation's key (jobs share that loopback, but have no key), unless LOCALMAKER_OFFLINE=1.
A name is resolved once, judged by its addresses, and connected to at the address that was judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any

from server.listener import hosts, proxy_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.core.settings import Settings

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

CONNECT_S = 20
MOST_TUNNELS = 512
TARGET = re.compile(
    r"(?P<host>[a-z0-9_][a-z0-9._-]{0,253}|\[[0-9a-f:.]+\]):(?P<port>[1-9]\d{0,4})", re.ASCII | re.IGNORECASE
)
"""Letters of ASCII only: resolvers fold others into them, and so into AWS's names."""
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
METADATA = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200/32", "168.63.129.16/32")
"""Link-local addresses, and where clouds answer a machine with its own credentials: AWS, Google, Alibaba, Azure."""
NEVER = tuple(ipaddress.ip_network(text) for text in METADATA)


class RefusedError(Exception):
    """A CONNECT that is not passed on: the answer's status and phrase, and a sentence."""

    def __init__(self, status: int, phrase: str, text: str) -> None:
        super().__init__(text)
        self.status, self.phrase = status, phrase


def place_of(target: str) -> tuple[str, int]:
    """Return host and port of a target that may be another host's. Raises RefusedError, for AWS's own names too."""
    matched = TARGET.fullmatch(target)
    if matched is None or hosts.aws_host(matched["host"]) is not None:
        raise RefusedError(403, "Forbidden", f"{target} is no host and port to connect to.")
    return matched["host"].strip("[]"), int(matched["port"])


def judge_client(settings: Settings, peer: str, head: bytes, target: str, others: int) -> None:
    """Raise RefusedError unless this client is passed on; `others` counts the tunnels that there are."""
    if settings.offline:
        raise RefusedError(
            403, "Forbidden", f"LOCALMAKER_OFFLINE=1: no host but AWS's is connected to, and not {target}."
        )
    address = ipaddress.ip_address(peer.partition("%")[0])
    # Only the form that a socket of both families gives IPv4: whoever comes through 6to4 or NAT64 comes from elsewhere.
    if not ((isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address).is_loopback:
        raise RefusedError(
            403, "Forbidden", f"Only this machine's own shells are connected to hosts that are not AWS's, as {target}."
        )
    if not proxy_key.is_shown(head, settings.data_dir):
        text = f"LocalMaker connects to {target} only for a shell with its key: `localmaker env` has it in HTTPS_PROXY."
        raise RefusedError(407, "Proxy Authentication Required", text)
    if others >= MOST_TUNNELS:
        raise RefusedError(503, "Service Unavailable", f"{others} connections lead to other hosts already.")


def judge_addresses(addresses: Iterable[str], port: int, own_port: int) -> None:
    """Raise RefusedError if any of a name's addresses is one that nobody is connected to."""
    for text in addresses:
        address = _embedded(ipaddress.ip_address(text.partition("%")[0]))
        if any(address in network for network in NEVER) or address.is_link_local:
            raise RefusedError(403, "Forbidden", f"{address} is a link-local or metadata address.")
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            raise RefusedError(403, "Forbidden", f"{address} is no other machine's: ask it without a proxy (NO_PROXY).")
        if port == own_port and str(address) in _own_addresses():
            raise RefusedError(403, "Forbidden", f"{address}:{port} is this server: ask it without a proxy (NO_PROXY).")


def _embedded(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one that leads there, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _own_addresses() -> set[str]:
    import psutil

    return {address.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for address in addresses}


async def connect(host: str, port: int, own_port: int, near: Tunnel) -> Tunnel:
    """Resolve a host, judge what comes of it, and connect to that. Raises RefusedError."""
    try:
        async with asyncio.timeout(CONNECT_S):
            loop = asyncio.get_running_loop()
            resolved = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            places = list(dict.fromkeys(str(entry[4][0]) for entry in resolved))
            judge_addresses(places, port, own_port)
            return await _first(places, port, near)
    except TimeoutError:
        raise RefusedError(504, "Gateway Timeout", f"{host}:{port} did not answer in {CONNECT_S} seconds.") from None
    except (OSError, UnicodeError) as error:
        raise RefusedError(502, "Bad Gateway", f"{host}:{port} is not reached: {error}") from None


async def _first(places: list[str], port: int, near: Tunnel) -> Tunnel:
    """Connect to the first address that answers: literal ones, so that nothing is resolved again."""
    failed: OSError = OSError("the name has no address")
    for place in places:
        try:
            _, far = await asyncio.get_running_loop().create_connection(lambda: Tunnel(near), place, port)
        except OSError as error:
            failed = error
        else:
            return far
    raise failed


class Tunnel(asyncio.Protocol):
    """One end of a tunnel: what it receives is sent from the other. The client's end is made first, the far one with it."""

    def __init__(self, other: Tunnel | None = None, transport: Any = None, connections: set[Any] | None = None) -> None:
        self.other = other
        self.transport = transport
        self.connections = connections
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Announce to the client that the far end is connected, before anything comes from there."""
        self.transport = transport
        if self.other is not None:
            self.other.other = self
            self.other.transport.write(ESTABLISHED)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the end on; the other direction stays open until it ends too."""
        self.has_ended = True
        if self.other is None or self.other.has_ended or self.other.transport.is_closing():
            return False
        self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Close the other end, once what it has still to send is sent."""
        if self.connections is not None:
            self.connections.discard(self)
        self.close_other()

    def close_other(self) -> None:
        """Close the other end, if there is one."""
        if self.other is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        """Read no more from the other end than this one takes."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def shutdown(self) -> None:
        """Close: the server ends."""
        self.transport.close()
