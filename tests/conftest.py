"""One real server for the session, in a process of its own; every test that asks gets a fresh account on it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import boto3
import pytest
from botocore.config import Config

from backends.core.settings import variable_of
from tests import postgresql, trained
from tests.engine import base_image, docker_reason
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

READY_S = 30.0
STOP_S = 10.0
REGION = "us-east-1"
START = "from backends.core.settings import Settings; from server.serve import serve; serve(Settings.read())"
BASE_IMAGE = base_image()
ACCOUNTS = itertools.count(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) * 1_000_000 + 1)


LONGEST = (
    "tests/sdk/test_flows.py",
    "tests/test_postgresql.py",
    "tests/journeys/test_crash.py",
    "tests/test_ci.py",
    "tests/jobs/test_runner.py",
    "tests/jobs/test_runner_ends.py",
    "tests/training/test_endings.py",
    "tests/endpoints/test_lifecycle.py",
    "tests/journeys/test_frameworks.py",
    "tests/containers/test_frameworks.py",
    "tests/sdk/test_aws_cli.py",
    "tests/training/test_channels.py",
    "tests/server/test_listener.py",
)
"""Files that take longest, the longest first: one worker would be busy with these alone at the end if they came later."""
SECONDS: dict[str, list[float]] = {}
"""Per folder, how long each phase (set-up, call, tear-down) of each test took."""


ON_BOTH = "LOCALMAKER_TEST_DOCKER_ALL" in os.environ
"""The long run repeats every test of jobs in containers; the other leaves out what Docker has no part in."""


def is_repeated(item: pytest.Item) -> bool:
    """Return whether a test is the Docker one of a pair whose other one shows all there is (`same_on_docker`)."""
    runner = getattr(item, "callspec", None) and item.callspec.params.get("runner")  # type: ignore[attr-defined]
    return runner == "docker" and item.get_closest_marker("same_on_docker") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only repeats, and put what takes longest in front; the rest stays in its order."""
    repeated = [] if ON_BOTH else [item for item in items if is_repeated(item)]
    if repeated:
        config.hook.pytest_deselected(items=repeated)
    places = {name: place for place, name in enumerate(LONGEST)}
    left_out = set(repeated)
    kept = [item for item in items if item not in left_out]
    items[:] = sorted(kept, key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONGEST)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test's seconds; those of xdist's workers arrive here too."""
    path = report.nodeid.partition("::")[0]
    folder = "/".join(path.split("/")[:2]) if path.count("/") > 1 else path
    SECONDS.setdefault(folder, []).append(report.duration)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds of each folder, the longest first; shared fixtures count where they were first asked for."""
    if not SECONDS:
        return
    terminalreporter.section("seconds per folder")
    for folder, spent in sorted(SECONDS.items(), key=lambda item: -sum(item[1])):
        terminalreporter.write_line(f"{sum(spent):7.1f}  {folder}")


@dataclass
class LiveServer:
    """A server on a free port. `kill` is kill -9; `start` after it takes the same data directory up again.

    `environment` is added to its environment; `prefix` goes before its command (setpriv and the like).
    """

    data_dir: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    python: str = sys.executable
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers; raises with the log when it does not."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        given = {"data_dir": self.data_dir, "port": 0, "runner": "process", **self.settings}
        if postgresql.is_wanted():
            given["database_url"] = postgresql.database_for(self.data_dir)
        environment = {**os.environ, **BASE_IMAGE, **{variable_of(name): str(value) for name, value in given.items()}}
        environment |= self.environment
        state = self.data_dir / "server.json"
        state.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            command = [*self.prefix, self.python, "-c", START]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if state.exists() and (text := state.read_text()):
                self.url = json.loads(text)["url"]
                if self._healthy():
                    return
            time.sleep(0.02)  # another process: there is nothing to wait on
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_localmaker/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    @property
    def log(self) -> Path:
        """The file that holds what the server printed."""
        return self.data_dir / "server.log"

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def end_jobs(self) -> None:
        """Reset the server and wait until nothing of any job is left: jobs would outlive it otherwise."""
        request = urllib.request.Request(f"{self.url}/_localmaker/reset", b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60):
            pass
        jobs = self.data_dir / "jobs"
        deadline = time.monotonic() + READY_S
        while jobs.exists() and any(jobs.iterdir()):
            assert time.monotonic() < deadline, f"left after a reset: {[*jobs.rglob('*')][:20]}"
            time.sleep(0.05)  # another process: there is nothing to wait on

    def client(self, service: str, account: str, region: str = REGION, **options: Any) -> Any:
        """Return a boto3 client of an account, without retries."""
        settings = {"retries": {"total_max_attempts": 1}, "connect_timeout": 5, "read_timeout": 60, **options}
        session = boto3.session.Session(aws_access_key_id=account, aws_secret_access_key="test", region_name=region)
        return session.client(service, endpoint_url=self.url, config=Config(**settings))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield the server that all tests of the session share."""
    live = LiveServer(tmp_path_factory.mktemp("server") / "data")
    live.start()
    yield live
    live.end_jobs()
    live.stop()


@pytest.fixture(scope="session")
def artifacts(server: LiveServer) -> dict[str, trained.Artifact]:
    """Return the first trained artifacts of the run, by name: xgboost, onnx, scikit-learn."""
    site = Site(server, f"{next(ACCOUNTS):012d}", "process")
    made = trained.train(site)
    site.close()
    return made


@pytest.fixture(scope="session", params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def runner(request: pytest.FixtureRequest) -> str:
    """Return each runner in turn; the reason why Docker cannot be used is printed."""
    name: str = request.param
    if name == "docker" and docker_reason():
        pytest.skip(docker_reason())
    return name


@pytest.fixture(scope="session")
def running(
    runner: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Yield the session's server of a runner."""
    if runner == "process":
        yield request.getfixturevalue("server")
        return
    live = LiveServer(tmp_path_factory.mktemp(runner) / "data", {"runner": runner})
    live.start()
    yield live
    live.end_jobs()
    live.stop()


@pytest.fixture
def site(running: LiveServer, runner: str, account: str) -> Iterator[Site]:
    """Yield a fresh account on each runner's server."""
    made = Site(running, account, runner)
    yield made
    made.close()


@pytest.fixture
def local(server: LiveServer, account: str) -> Iterator[Site]:
    """Yield a fresh account on the shared server, for what does not depend on the runner."""
    made = Site(server, account, "process")
    yield made
    made.close()


@pytest.fixture
def account() -> str:
    """Return a 12-digit account that no other test uses."""
    return f"{next(ACCOUNTS):012d}"


@pytest.fixture
def aws(server: LiveServer, account: str) -> Iterator[Callable[..., Any]]:
    """Yield `aws("s3")`: a boto3 client of the test's account; `region` and botocore options may follow."""
    made = []

    def client(service: str, region: str = REGION, **options: Any) -> Any:
        made.append(server.client(service, options.pop("account", account), region, **options))
        return made[-1]

    yield client
    for each in made:
        each.close()
