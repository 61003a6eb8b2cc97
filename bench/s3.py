"""S3 against moto's, and against what the disk and one core's MD5 allow."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import load
from bench.peers import free_port, in_turn, moto, ours, running
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers import Peer

SECONDS = 1.0
MIB = 1 << 20
LARGE_MIB = 100
SCOPE = "AWS4-HMAC-SHA256 Credential=123456789012/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
HEADERS = {"Authorization": SCOPE, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}

SENDFILE = """
import os, socket, sys
size = os.stat(sys.argv[2]).st_size
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server, open(sys.argv[2], "rb") as file:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size)
            try:
                connection.sendfile(file, 0)
            except ConnectionError:
                pass
"""


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Write an S3 request."""
    return load.request_bytes(method, path, HEADERS, body)


def rate(make: Callable[[int], bytes], connections: int) -> Callable[[Peer], float]:
    """Return what measures a peer's requests per second; errors count as a failure of the bench."""

    def measure(peer: Peer) -> float:
        measured = load.run(peer.url, make, connections, SECONDS)
        if measured.errors:
            print(f"  {peer.name}: {measured.errors} of {measured.count} requests failed", flush=True)
        assert measured.errors == 0 or peer.name != "localmaker"
        return (measured.count - measured.errors) / measured.count * measured.rate

    return measure


def small(table: Table, peers: tuple[Peer, ...]) -> None:
    """Measure objects of 1 KiB, and a listing of 1,000 of them."""
    body = os.urandom(1024)
    for peer in peers:
        load.run(peer.url, lambda _: request("PUT", "/bench"), 1, count=1)
        measured = load.run(peer.url, lambda n: request("PUT", f"/bench/stored-{n:04d}", body), 4, count=1000)
        assert measured.count == 1000, measured
    for connections, goal in ((1, 10), (32, 10)):
        measure = rate(lambda _: request("GET", "/bench/stored-0500"), connections)
        table.row(f"GET 1 KiB, c={connections}, req/s", *in_turn(peers, measure), at_least=goal)
    table.row(
        "ListObjectsV2 of 1,000, req/s",
        *in_turn(peers, rate(lambda _: request("GET", "/bench?list-type=2"), 1)),
        at_least=20,
    )
    for connections, goal in ((1, 4), (32, 5)):
        measure = rate(lambda n: request("PUT", f"/bench/new-{n % 997}", body), connections)
        table.row(f"PUT 1 KiB, c={connections}, req/s", *in_turn(peers, measure), at_least=goal)
    measure = rate(lambda _: request("PUT", "/bench/one-key", body), 32)
    table.row("PUT 1 KiB of one key, c=32, req/s", *in_turn(peers, measure, rounds=1))


def large(table: Table, peers: tuple[Peer, ...]) -> tuple[float, float]:
    """Measure an object of 100 MiB; give our MB/s in and out."""
    body = memoryview(os.urandom(MIB) * LARGE_MIB)
    head = request("PUT", "/bench/large", b"").replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    megabytes = len(body) / 1e6

    def put(peer: Peer) -> float:
        return megabytes / load.transfer(peer.url, head, body)

    def get(peer: Peer) -> float:
        return megabytes / load.transfer(peer.url, request("GET", "/bench/large"))

    puts = in_turn(peers, put, rounds=5)
    table.row("PUT 100 MiB, MB/s", *puts, at_least=2.2)
    gets = in_turn(peers, get, rounds=5)
    table.row("GET 100 MiB, MB/s", *gets, at_least=2.5)
    return puts[1], gets[1]


def limits(put_mb_s: float, get_mb_s: float) -> Table:
    """Compare with one core's MD5 and with a copy of the file."""
    table = Table("S3 against the machine", "limit")
    body = os.urandom(MIB) * LARGE_MIB
    megabytes = len(body) / 1e6
    md5_s = copy_s = 60.0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.write_bytes(body)
        for _ in range(3):
            began = time.perf_counter()
            hashlib.md5(body, usedforsecurity=False)
            md5_s = min(md5_s, time.perf_counter() - began)
            began = time.perf_counter()
            shutil.copyfile(source, Path(folder) / "copy")
            copy_s = min(copy_s, time.perf_counter() - began)
    table.row("PUT 100 MiB against one core's MD5, MB/s", megabytes / md5_s, put_mb_s, at_least=0.5)
    table.row("PUT 100 MiB against a copy of the file, MB/s", megabytes / copy_s, put_mb_s)
    table.row("GET 100 MiB against a copy of the file, MB/s", megabytes / copy_s, get_mb_s)
    table.row("GET 100 MiB against bare sendfile to the same reader, MB/s", sendfile_mb_s(body), get_mb_s)
    return table


def sendfile_mb_s(body: bytes) -> float:
    """Return the MB/s at which our reader reads what a process does nothing but sendfile: no server gives it more."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(body)
        port = free_port()
        with running("sendfile", [sys.executable, "-c", SENDFILE, str(port), str(file)], port) as peer:
            return max(len(body) / 1e6 / load.transfer(peer.url, b"GET / HTTP/1.1\r\n\r\n") for _ in range(5))


def growth(peer: Peer) -> float:
    """Return how many MiB of memory a server takes on when it stores 1 GiB in ten objects."""
    body = memoryview(os.urandom(MIB) * LARGE_MIB)
    before = peer.pss_mib()
    for number in range(10):
        head = request("PUT", f"/bench/gib-{number}").replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
        load.transfer(peer.url, head, body)
    return peer.pss_mib() - before


def run() -> list[Table]:
    """Measure all in turn, in one run."""
    table = Table("S3", "moto")
    with moto() as theirs, ours() as localmaker:
        peers = (theirs, localmaker)
        small(table, peers)
        against = limits(*large(table, peers))
        grown = [max(1.0, growth(peer)) for peer in peers]  # less than 1 MiB is noise
        table.row("memory with 1 GiB stored, growth in MiB", *grown, less=True, at_most=64)
    return [table, against]
