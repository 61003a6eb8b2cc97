"""Servers that cannot send anything out, and clients that reach nothing but them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.core.settings import Settings
from server import pruning
from tests.conftest import ACCOUNTS, BASE_IMAGE, LiveServer
from tests.sdk import isolation
from tests.sdk.environments import environment
from tests.sdk.isolation import Isolation

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOWS = Path(__file__).parent / "flows"
FLOW_S = 400
AT_ONCE = 4
"""Flows mostly wait: SDK v2 looks at jobs every 10 or 30 seconds."""


@pytest.fixture(scope="module")
def cut_off() -> Iterator[Isolation]:
    """Cut clients and servers off from everything but each other."""
    if isolation.reason():
        pytest.skip(isolation.reason())
    made = Isolation()
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def closed_server(runner: str, cut_off: Isolation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server of each runner that cannot send anything out."""
    folder = tmp_path_factory.mktemp(f"closed-{runner}")
    settings = {"runner": runner, "host": isolation.NEAR, "offline": "1"}
    # An SDK under @remote has pip look for a newer one; this is how anybody tells pip that there is no index.
    live = LiveServer(folder / "data", settings, {"PIP_NO_INDEX": "1"}, cut_off.server_prefix)
    live.start()
    yield live
    live.end_jobs()
    live.stop()


@dataclass
class Clients:
    """Runs programs as a user would who has typed `localmaker run`, in the namespace that leads to the server only."""

    live: LiveServer
    cut_off: Isolation
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE))
    begun: dict[str, Future[subprocess.CompletedProcess[str]]] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.cut_off.dropped()

    def left(self) -> dict[str, int]:
        """Count what was dropped since these clients are there."""
        return {name: count - self.before[name] for name, count in self.cut_off.dropped().items()}

    def run(self, *command: str, account: str, timeout_s: float = FLOW_S) -> subprocess.CompletedProcess[str]:
        """Run one command under `localmaker run`; its output and errors are one text."""
        return self._run("run", "--account", account, "--", *command, timeout_s=timeout_s)

    def _run(self, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "server.cli", *arguments)
        return self.inside(*command, environment=self.own_environment, timeout_s=timeout_s)

    @property
    def own_environment(self) -> dict[str, str]:
        """Nothing of this user's own settings of AWS, and no proxy that would lead out."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "SAGEMAKER_")) and not name.lower().endswith("_proxy")
        }
        return kept | {"HOME": str(self.live.data_dir), "LOCALMAKER_DATA_DIR": str(self.live.data_dir)}

    def exported(self, account: str) -> dict[str, str]:
        """Return the environment that `localmaker env` makes, for many short commands."""
        shown = self._run("env", "--json", "--account", account, timeout_s=60)
        given: dict[str, str] = json.loads(shown.stdout)
        return self.own_environment | given

    def inside(self, *command: str, environment: dict[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run one command in the namespace that leads to the server only."""
        return subprocess.run(
            [*self.cut_off.client_prefix, *command], env=environment, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
        )  # fmt: skip

    def prepare(self, recipes: set[str]) -> None:
        """Make the environments or images of recipes, outside the closed network; what is there already costs nothing."""
        settings = Settings.read({**os.environ, **BASE_IMAGE})
        for name in sorted(recipes):
            pruning.build(settings, name, runner=self.live.settings["runner"], cuda=False, log_line=print)

    def begin(self, flow: str, *arguments: str) -> None:
        """Start a flow with its arguments, beside the others."""
        python = environment(flow.partition("_")[0]) / "python"
        account = f"{next(ACCOUNTS):012d}"
        command = (str(python), str(FLOWS / f"{flow}.py"), *arguments)
        self.begun[flow] = self.pool.submit(self.run, *command, account=account)

    def ended(self, flow: str) -> str:
        """Wait for a flow; give what it printed. It must have passed."""
        ran = self.begun[flow].result()
        assert ran.returncode == 0, ran.stdout[-6000:]
        assert ran.stdout.rstrip().endswith("FLOW PASSED"), ran.stdout[-6000:]
        return ran.stdout


@pytest.fixture(scope="module")
def clients(closed_server: LiveServer, cut_off: Isolation) -> Iterator[Clients]:
    """Yield clients of a closed server."""
    made = Clients(closed_server, cut_off)
    yield made
    made.pool.shutdown(cancel_futures=True)
