"""The servers that are compared: ours and moto's, each on a free port, with their CPU time and memory."""

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
    from collections.abc import Iterator

OURS = "from backends.core.settings import Settings; from server.serve import serve; serve(Settings.read())"


@dataclass
class Peer:
    """A running server. `ready_s`: from its start to its first answer."""

    name: str
    url: str
    process: psutil.Process
    ready_s: float

    def cpu_s(self) -> float:
        """Give the CPU time it has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def pss_mib(self) -> float:
        """Give its memory, shared pages counted by their share, in MiB."""
        return float(self.process.memory_full_info().pss) / 2**20


def free_port() -> int:
    """Find a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ours(**settings: str) -> Iterator[Peer]:
    """Run our server on a temporary data directory."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        given = {"LOCALMAKER_PORT": str(port), "LOCALMAKER_DATA_DIR": folder, "LOCALMAKER_RUNNER": "process", **settings}
        with _running("localmaker", [sys.executable, "-c", OURS], given, port, "/_localmaker/info") as peer:
            yield peer


@contextmanager
def moto() -> Iterator[Peer]:
    """Run moto's server."""
    port = free_port()
    program = str(Path(sys.executable).with_name("moto_server"))
    with _running("moto", [program, "-p", str(port)], {}, port, "/moto-api/") as peer:
        yield peer


@contextmanager
def _running(name: str, command: list[str], given: dict[str, str], port: int, path: str) -> Iterator[Peer]:
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **given}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                with urllib.request.urlopen(url + path, timeout=5):
                    break
            except urllib.error.HTTPError:
                break
            except OSError:
                if time.perf_counter() - began > 30:
                    raise
                time.sleep(0.005)
        yield Peer(name, url, psutil.Process(process.pid), time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(15)
