"""The servers that are compared, each on a free port, with their CPU time and memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = "from backends.core.settings import Settings; from server.serve import serve; serve(Settings.read())"
WITHOUT_SNIFFING = """
import server.serve
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from backends.core.settings import Settings
server.serve.make_protocol = lambda authority: HttpToolsProtocol
server.serve.serve(Settings.read())
"""
NOTHING = """
import sys, uvicorn
ANSWER = sys.argv[2].encode()
HEADERS = [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", str(len(ANSWER)).encode())]
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", log_level="error")
"""


@dataclass
class Peer:
    """A running server. `ready_s`: from its start to its first answer; `data_dir`: of ours only."""

    name: str
    url: str
    process: psutil.Process
    ready_s: float
    data_dir: str = ""

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the CPU time that it and its processes have used so far."""
        spent = [process.cpu_times() for process in self._family()]
        return float(sum(times.user + times.system for times in spent))

    def pss_mib(self) -> float:
        """Return its memory, shared pages counted by their share, in MiB."""
        return float(sum(process.memory_full_info().pss for process in self._family())) / 2**20


def free_port() -> int:
    """Find a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ours(*, code: str = OURS, **settings: str) -> Iterator[Peer]:
    """Run our server on a temporary data directory."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = free_port()
        given = {
            "LOCALMAKER_PORT": str(port),
            "LOCALMAKER_DATA_DIR": folder,
            "LOCALMAKER_RUNNER": "process",
            **settings,
        }
        with running("localmaker", [sys.executable, "-c", code], port, "/2015/nothing", given) as peer:
            peer.data_dir = folder
            yield peer


@contextmanager
def moto() -> Iterator[Peer]:
    """Run moto's server."""
    port = free_port()
    program = str(Path(sys.executable).with_name("moto_server"))
    with running("moto", [program, "-p", str(port)], port, "/moto-api/") as peer:
        yield peer


@contextmanager
def nothing(answer: str) -> Iterator[Peer]:
    """Run a uvicorn that gives the same JSON to everybody: the most that any server on it could do."""
    port = free_port()
    with running("does nothing", [sys.executable, "-c", NOTHING, str(port), answer], port) as peer:
        yield peer


@contextmanager
def running(
    name: str, command: list[str], port: int, path: str = "/", given: dict[str, str] | None = None,
    cwd: str | None = None,
) -> Iterator[Peer]:  # fmt: skip
    """Start a server and wait for its first answer, whatever that is."""
    environment = {**os.environ, **(given or {})}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd)
    try:
        _wait(f"http://127.0.0.1:{port}{path}", process)
        yield Peer(name, f"http://127.0.0.1:{port}", psutil.Process(process.pid), time.perf_counter() - began)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    began = time.perf_counter()
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.perf_counter() - began > 60 or process.poll() is not None:
                raise
            time.sleep(0.005)
        else:
            return


def in_turn(
    peers: tuple[Peer, ...], measure: Callable[[Peer], float], rounds: int = 3, *, less: bool = False
) -> list[float]:
    """Measure the peers by turns, some rounds, and give each one's best: a neighbour's noise hits one round only."""
    figures = [[measure(peer) for peer in peers] for _ in range(rounds)]
    best = min if less else max
    return [best(values) for values in zip(*figures, strict=True)]
