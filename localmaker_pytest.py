"""A pytest plugin for projects that use SageMaker: the fixture `localmaker` is a server of the test session's own.

It lies beside LocalMaker's packages and imports none of them: the server runs in an interpreter of its own, so a project
that has a top-level package named `server` keeps it. Manual: docs/testing.md.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_S = 60.0
STOP_S = 20.0
ASK_S = 60.0
POLL_S = 0.02
ACCOUNT = "000000000000"
REGION = "us-east-1"
# Our folder comes first on the child's path, whatever the project has installed under the names of our packages.
BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from server.cli import app; app()"
FOLDER = Path(__file__).resolve().parent
# A test session shares nothing with the server that its user may run beside it.
NOT_INHERITED = ("PYTHONPATH", "LOCALMAKER_DATABASE_URL", "LOCALMAKER_DATA_DIR", "LOCALMAKER_HOST", "LOCALMAKER_PORT")
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server needs no proxy to be reached


@dataclass(frozen=True)
class LocalMaker:
    """A running server. `url` is its endpoint, `data_dir` the temporary directory of its state and its log."""

    url: str
    data_dir: Path

    @cached_property
    def _said(self) -> list[list[str]]:
        """The lines of `localmaker env`, each as the shell splits it; asked once, when first wanted."""
        command = _command("env", "--data-dir", str(self.data_dir))
        asked = subprocess.run(
            command, env=_environment(), cwd=self.data_dir, capture_output=True, text=True, timeout=ASK_S, check=False
        )
        if asked.returncode:
            raise RuntimeError(f"`localmaker env` failed:\n{asked.stderr}")
        return [shlex.split(line) for line in asked.stdout.splitlines()]

    def env_of(self, account: str = ACCOUNT, region: str = REGION) -> dict[str, str]:
        """Give all that `localmaker env` exports; any 12 digits are an account of their own."""
        given = dict(words[1].split("=", 1) for words in self._said if words[0] == "export")
        if account != ACCOUNT:
            given["AWS_ACCESS_KEY_ID"] = account
        return given | {"AWS_DEFAULT_REGION": region, "AWS_REGION": region}

    @property
    def misleading(self) -> list[str]:
        """The variables that `localmaker env` unsets, because they would send clients elsewhere."""
        return [name for words in self._said if words[0] == "unset" for name in words[1:]]

    @property
    def env(self) -> dict[str, str]:
        """The environment that points AWS clients at this server."""
        return self.env_of()

    def client(self, service: str, *, account: str = ACCOUNT, region: str = REGION, **options: Any) -> Any:
        """Give a boto3 client; `options` go to boto3 as they are."""
        import boto3

        keys = {"aws_access_key_id": account, "aws_secret_access_key": "localmaker"}  # any secret passes
        session = boto3.session.Session(**keys, region_name=region)
        return session.client(service, endpoint_url=self.url, **options)

    def reset(self, account: str | None = None) -> None:
        """Stop the jobs and endpoints of one account (or of all) and forget what it has."""
        body = json.dumps({"account": account}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_localmaker/reset", body, headers)  # noqa: S310 - our own URL
        with DIRECT.open(request, timeout=ASK_S) as answer:
            answer.read()


@pytest.fixture(scope="session")
def localmaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMaker]:
    """Start a server on a free port for the whole session; one per worker under pytest-xdist."""
    data_dir = tmp_path_factory.mktemp("localmaker")
    command = _command("start", "--port", "0", "--host", "127.0.0.1", "--data-dir", str(data_dir))
    log = data_dir / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=data_dir
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


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-c", BOOT, str(FOLDER), *arguments]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path) -> str:
    """Give the URL that the server writes down once it listens; RuntimeError, with its log, when it does not come."""
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
        with DIRECT.open(f"{served.url}/_localmaker/init", timeout=ASK_S) as answer:
            told = json.load(answer)
        if all(told["completed"].values()):
            if not any(script["state"] == "ERROR" for script in told["scripts"]):
                return
            break
        time.sleep(POLL_S)  # another process: there is nothing to wait on
    raise RuntimeError(f"LocalMaker's init scripts failed:\n{_log_of(served.data_dir)}")


def _log_of(data_dir: Path) -> str:
    return (data_dir / "server.log").read_text(encoding="utf-8", errors="replace")[-4000:]
