"""A pytest plugin for projects that use SageMaker: the fixture `localmaker` is a server of the test session's own.

Beside LocalMaker's packages, and importing none of them: the server runs in an interpreter of its own, so a project
that has a top-level package named `server` keeps it. Manual: docs/testing.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from localmaker_client import DIRECT, TIMEOUT_S, LocalMaker, command, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_S = 60.0
STOP_S = 20.0
POLL_S = 0.02


@pytest.fixture(scope="session")
def localmaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMaker]:
    """Start a server on a free port for the whole session; one per worker under pytest-xdist."""
    data_dir = tmp_path_factory.mktemp("localmaker")
    started = command("start", "--port", "0", "--host", "127.0.0.1", "--data-dir", str(data_dir))
    log = data_dir / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            started, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=data_dir
        )
    try:
        served = LocalMaker(_wait_until_ready(process, data_dir), data_dir)
        if "LOCALMAKER_INIT_DIR" in os.environ:
            _wait_for_init_scripts(process, served)
        yield served
        served.reset()  # jobs and endpoints would outlive their server
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def localmaker_env(localmaker: LocalMaker, monkeypatch: pytest.MonkeyPatch) -> LocalMaker:
    """Point every AWS client that the test makes at the server: code under test needs no endpoint of its own."""
    for name in localmaker.misleading:
        monkeypatch.delenv(name, raising=False)
    for name, value in localmaker.env.items():
        monkeypatch.setenv(name, value)
    return localmaker


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path) -> str:
    """Return the URL that the server writes down once it listens; RuntimeError, with its log, when it does not come."""
    written = data_dir / "server.json"
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return str(json.loads(written.read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError):
            time.sleep(POLL_S)  # another process: there is nothing to wait on
    raise RuntimeError(f"LocalMaker did not start:\n{_log_of(data_dir)}")


def _wait_for_init_scripts(process: subprocess.Popen[bytes], served: LocalMaker) -> None:
    """Wait until all have ended, each by its own time-out at the latest; RuntimeError, with the log, when one failed."""
    while process.poll() is None:
        with DIRECT.open(f"{served.url}/_localmaker/init", timeout=TIMEOUT_S) as answer:
            told = json.load(answer)
        if all(told["completed"].values()):
            if not any(script["state"] == "ERROR" for script in told["scripts"]):
                return
            break
        time.sleep(POLL_S)  # another process: there is nothing to wait on
    raise RuntimeError(f"LocalMaker's init scripts failed:\n{_log_of(served.data_dir)}")


def _log_of(data_dir: Path) -> str:
    return (data_dir / "server.log").read_text(encoding="utf-8", errors="replace")[-4000:]
