"""What the one port costs: plain HTTP with and without protocol sniffing, TLS, the proxy; and what verifying signatures costs."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from bench import load
from bench.control_plane import ACCOUNT, call, create
from bench.peers import WITHOUT_SNIFFING, in_turn, ours
from bench.report import Table
from server.listener import authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers import Peer

SECONDS = 1.0
HOST = "api.sagemaker.us-east-1.amazonaws.com"
CONNECT = f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode()
WAYS = ("plain", "TLS", "proxy")
NEW_CONNECTIONS = 200
LARGE = 100 << 20
REQUEST = call("DescribeModel", {"ModelName": "stored-1"})


def trusting(peer: Peer) -> ssl.SSLContext:
    """Return a client's context that trusts the peer's CA."""
    return ssl.create_default_context(cafile=authority.ensure(Path(peer.data_dir)))


def tunnelled(host: str, port: int) -> socket.socket:
    """Open a connection through the proxy, up to where TLS begins."""
    connection = socket.create_connection((host, port))
    connection.sendall(CONNECT)
    assert connection.recv(1024).startswith(b"HTTP/1.1 200 ")
    return connection


def opener(peer: Peer, way: str) -> Callable[..., object]:
    """Return what opens the load generator's connections."""
    context = trusting(peer)

    async def connect(protocol: Callable[[], asyncio.Protocol], host: str, port: int) -> object:
        loop = asyncio.get_running_loop()
        if way == "proxy":
            carrying = tunnelled(host, port)
            carrying.setblocking(False)
            return await loop.create_connection(protocol, sock=carrying, ssl=context, server_hostname=HOST)
        return await loop.create_connection(protocol, host, port, ssl=context, server_hostname="localhost")

    return load.plainly if way == "plain" else connect


def rate(peer: Peer, way: str, connections: int, costs: list[float] | None = None) -> float:
    """Return DescribeModel's requests per second; append the server's CPU µs for one."""
    before = peer.cpu_s()
    measured = load.run(peer.url, lambda _: REQUEST, connections, SECONDS, connect=opener(peer, way))  # type: ignore[arg-type]
    assert measured.errors == 0, measured
    if costs is not None:
        costs.append((peer.cpu_s() - before) / measured.count * 1e6)
    return measured.rate


def new_connections(peer: Peer, way: str) -> float:
    """Return how many requests a second one client makes that connects anew for each."""
    place, context = urlsplit(peer.url), trusting(peer)
    host, port = place.hostname or "", place.port or 0
    began = time.perf_counter()
    for _ in range(NEW_CONNECTIONS):
        connection = tunnelled(host, port) if way == "proxy" else socket.create_connection((host, port))
        if way != "plain":
            connection = context.wrap_socket(connection, server_hostname=HOST if way == "proxy" else "localhost")
        with closing(connection):
            connection.sendall(REQUEST)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    return NEW_CONNECTIONS / (time.perf_counter() - began)


def sniffing(table: Table) -> None:
    """Measure what protocol sniffing costs plain HTTP."""
    with ours(code=WITHOUT_SNIFFING) as without, ours() as behind:
        for peer in (without, behind):
            store(peer)
        for connections in (1, 32):
            costs: dict[str, list[float]] = {without.url: [], behind.url: []}
            measured = in_turn((without, behind), lambda p, c=connections, k=costs: rate(p, "plain", c, k[p.url]), 5)  # type: ignore[misc]
            table.row(f"DescribeModel, c={connections}, req/s", *measured)
            table.row(f"DescribeModel, c={connections}, server CPU µs each", *(min(costs[p.url]) for p in (without, behind)),
                      less=True)  # fmt: skip
        measured = in_turn((without, behind), lambda p: new_connections(p, "plain"), 5)
        table.row("new connection for each, req/s", *measured)


def ways(tables: list[Table]) -> None:
    """Measure TLS and the proxy beside plain HTTP."""
    with ours() as peer:
        store(peer)
        for connections in (1, 32):
            best = {way: max(rate(peer, way, connections) for _ in range(3)) for way in WAYS}
            for table, way in zip(tables, WAYS[1:], strict=True):
                table.row(f"DescribeModel, c={connections}, req/s", best["plain"], best[way])
        best = {way: max(new_connections(peer, way) for _ in range(3)) for way in WAYS}
        for table, way in zip(tables, WAYS[1:], strict=True):
            table.row("new connection for each, req/s", best["plain"], best[way])


def store(peer: Peer) -> None:
    """Store the model that is described."""
    assert load.run(peer.url, lambda n: create("stored", n), 1, count=1).errors == 0


def signed(keys: Credentials, service: str, request: AWSRequest) -> bytes:
    """Write a request as botocore signs it."""
    (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "us-east-1").add_auth(request)
    place = urlsplit(request.url)
    headers = {**dict(request.headers.items()), "Host": place.netloc}
    lines = [f"{request.method} {place.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    size = len(request.data or b"")
    return ("\r\n".join([*lines, f"Content-Length: {size}"]) + "\r\n\r\n").encode()


def verification(table: Table, folder: Path) -> None:
    """Measure what `enforce` costs: small requests, and a large body whose hash was signed."""
    keys = Credentials(ACCOUNT, "secret")
    file = folder / "keys"
    file.write_text(f"[default]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = secret\n")
    with ours() as off, ours(LOCALMAKER_AUTH="enforce", LOCALMAKER_KEYS_FILE=str(file)) as enforce:
        peers, requests = (off, enforce), {}
        for peer in peers:
            for operation in ("CreateModel", "DescribeModel"):
                body = create("stored", 1).partition(b"\r\n\r\n")[2] if operation == "CreateModel" else b""
                body = body or json.dumps({"ModelName": "stored-1"}).encode()
                headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
                requested = AWSRequest("POST", f"{peer.url}/", data=body, headers=headers)
                requests[peer.url] = signed(keys, "sagemaker", requested) + body
                assert load.run(peer.url, lambda _, p=peer: requests[p.url], 1, count=1).errors == 0  # type: ignore[misc]
        for connections in (1, 32):
            costs: dict[str, list[float]] = {peer.url: [] for peer in peers}

            def measure(peer: Peer, connections: int = connections, costs: dict[str, list[float]] = costs) -> float:
                before = peer.cpu_s()
                measured = load.run(peer.url, lambda _: requests[peer.url], connections, SECONDS)
                assert measured.errors == 0, measured
                costs[peer.url].append((peer.cpu_s() - before) / measured.count * 1e6)
                return measured.rate

            table.row(f"DescribeModel, c={connections}, req/s", *in_turn(peers, measure))
            table.row(
                f"DescribeModel, c={connections}, server CPU µs each", *(min(costs[p.url]) for p in peers), less=True
            )
        large(table, peers, keys)


def large(table: Table, peers: tuple[Peer, ...], keys: Credentials) -> None:
    """Measure PUT 100 MiB with a signed SHA-256."""
    body = bytes(LARGE)

    def put(peer: Peer) -> float:
        request = AWSRequest("PUT", f"{peer.url}/bench/large", data=body)
        return LARGE / 1e6 / load.transfer(peer.url, signed(keys, "s3", request), body)

    for peer in peers:
        made = signed(keys, "s3", AWSRequest("PUT", f"{peer.url}/bench"))
        load.transfer(peer.url, made)
    table.row("PUT 100 MiB, MB/s", *in_turn(peers, put))


def run() -> list[Table]:
    """Measure everything."""
    import tempfile

    plain = Table("Plain HTTP, without protocol sniffing (peer) and with it", "without", "with")
    tables = [Table(f"{way}, against plain HTTP", "plain", way) for way in WAYS[1:]]
    verified = Table("Signatures: LOCALMAKER_AUTH=off (peer) against enforce", "off", "enforce")
    sniffing(plain)
    ways(tables)
    with tempfile.TemporaryDirectory() as folder:
        verification(verified, Path(folder))
    return [plain, *tables, verified]
