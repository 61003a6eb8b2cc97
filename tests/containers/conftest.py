"""Real environments, made once and kept; real data sets, written as a job finds them under its base directory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from backends.jobs.images import RECIPES
from backends.jobs.recipes import virtual_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CACHE = Path(os.environ.get("LOCALMAKER_TEST_CACHE", Path.home() / ".cache" / "localmaker"))


@pytest.fixture(scope="session")
def python() -> Callable[[str], Path]:
    """Return the function from a recipe's name to its environment's python."""
    return lambda name: virtual_environment(RECIPES[name], cuda=False, cache_dir=CACHE, log_line=print)


@dataclass
class Job:
    """A base directory in place of /opt/ml, and the commands that run in it."""

    base: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(
        self,
        hyperparameters: Mapping[str, str],
        channels: Mapping[str, Mapping[str, bytes]],
        content_type: str | None = None,
        **settings: str,
    ) -> None:
        """Lay out the config files and, per channel, the files by name."""
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (self.base / "model").mkdir(exist_ok=True)
        (self.base / "output").mkdir(exist_ok=True)
        entry = {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            **settings,
        }
        if content_type:
            entry["ContentType"] = content_type
        (config / "hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
        (config / "inputdataconfig.json").write_text(json.dumps(dict.fromkeys(channels, entry)))
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
        hosts |= {"current_instance_type": "ml.m5.xlarge", "current_group_name": "homogeneousCluster"}
        groups = [{"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]}]
        (config / "resourceconfig.json").write_text(json.dumps({**hosts, "instance_groups": groups}))
        for channel, files in channels.items():
            for name, body in files.items():
                path = self.base / "input" / "data" / channel / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)

    def script(self, source: str, **files: str) -> None:
        """Put train.py (and other files, `requirements_txt` for requirements.txt) into a code directory; returns nothing."""
        code = self.base / "submitted"
        code.mkdir(parents=True, exist_ok=True)
        (code / "train.py").write_text(source)
        for name, text in files.items():
            (code / name.replace("_txt", ".txt").replace("_py", ".py")).write_text(text)

    def train(self, python: Path, recipe: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `train` to its end."""
        command = [*RECIPES[recipe].train_command(python), "--base-dir", str(self.base)]
        return subprocess.run(
            command,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=self.base,
        )

    @contextlib.contextmanager
    def training(self, python: Path, recipe: str) -> Iterator[subprocess.Popen[str]]:
        """Run `train` beside the block; stdout and stderr are one pipe."""
        command = [*RECIPES[recipe].train_command(python), "--base-dir", str(self.base)]
        out, err = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(
            command, env=self._environment(), stdout=out, stderr=err, text=True, cwd=self.base
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def failure(self) -> str:
        """The failure file's text, "" where there is none."""
        path = self.base / "output" / "failure"
        return path.read_text() if path.exists() else ""

    @contextlib.contextmanager
    def served(self, python: Path, recipe: str) -> Iterator[Server]:
        """Run `serve` for the time of the block; it must end within ten seconds of SIGTERM."""
        port = free_port()
        self.environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
        command = [*RECIPES[recipe].serve_command(python), "--base-dir", str(self.base)]
        log = self.base / "serve.log"
        with (
            log.open("w") as out,
            subprocess.Popen(command, env=self._environment(), stdout=out, stderr=out, cwd=self.base) as process,
        ):
            server = Server(port, log)
            try:
                server.wait_until_healthy(process)
                yield server
            finally:
                process.terminate()
                process.wait(timeout=10)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "SM_STUDIO_LOCAL_MODE": "true", "PYTHONUNBUFFERED": "1", **self.environment}


@dataclass(frozen=True)
class Server:
    """A model server on localhost."""

    port: int
    log: Path

    def wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        """Poll /ping, as SageMaker does, for at most a minute."""
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/ping")[0] == 200:
                    return
            assert process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def request(
        self, method: str, path: str, body: bytes | str = b"", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and lower-case headers; `content_type="text/csv"` becomes a header."""
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read(), {k.lower(): v for k, v in response.getheaders()}
        finally:
            connection.close()

    def invoke(self, body: bytes | str, content_type: str, accept: str = "*/*") -> bytes:
        """Return the answer's body; anything but 200 fails the test."""
        status, answer, _ = self.request("POST", "/invocations", body, content_type=content_type, accept=accept)
        assert status == 200, answer
        return answer

    def json(self, value: Any, accept: str = "application/json") -> Any:
        """Send and receive JSON."""
        return json.loads(self.invoke(json.dumps(value), "application/json", accept))


@dataclass(frozen=True)
class Trained:
    """What a training left and printed."""

    model: Path
    stdout: str


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Data:
    """A data set, shuffled: the first `split` rows train, the rest validate. `x`: [n, d], `y`: [n]."""

    x: np.ndarray
    y: np.ndarray
    split: int

    def csv(self, part: str) -> bytes:
        """Return label-first CSV of `train` or `validation`."""
        rows = slice(None, self.split) if part == "train" else slice(self.split, None)
        return "\n".join(",".join(map(repr, row)) for row in np.column_stack([self.y, self.x])[rows].tolist()).encode()


@pytest.fixture(scope="session")
def data_set(python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Data]:
    """Return the function from `breast_cancer`, `iris`, `diabetes` or `digits` to the data that scikit-learn ships."""
    directory = tmp_path_factory.mktemp("data")
    source = (
        "import sys, numpy as np, sklearn.datasets as d\n"
        "for n in ('breast_cancer', 'iris', 'diabetes', 'digits'):\n"
        "    x, y = getattr(d, 'load_' + n)(return_X_y=True)\n"
        "    order = np.random.default_rng(0).permutation(len(y))\n"
        "    np.savez(f'{sys.argv[1]}/{n}.npz', x=x[order], y=y[order])\n"
    )
    subprocess.run([python("xgboost"), "-c", source, directory], check=True, timeout=60)

    def load(name: str) -> Data:
        with np.load(directory / f"{name}.npz") as arrays:
            x, y = arrays["x"], arrays["y"].astype(float)
        return Data(x, y, len(y) * 7 // 10)

    return load


BINARY = {"num_round": "30", "objective": "binary:logistic", "eval_metric": "error,auc,f1", "nthread": "1"}
XGBOOST_MODELS = {
    "binary": ("breast_cancer", BINARY),
    "multi": ("iris", {"num_round": "20", "objective": "multi:softprob", "num_class": "3"}),
}
"""The little models that several tests ask for: data set and hyperparameters."""


@pytest.fixture(scope="session")
def trained(
    python: Callable[[str], Path], data_set: Callable[[str], Data], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Trained]:
    """Return the function from a name in XGBOOST_MODELS to the trained model. Each is trained once: copy, don't change."""

    @cache
    def train(name: str) -> Trained:
        data, hyperparameters = XGBOOST_MODELS[name]
        job = Job(tmp_path_factory.mktemp(name))
        channels = {part: {"a.csv": data_set(data).csv(part)} for part in ("train", "validation")}
        job.write(hyperparameters, channels, "text/csv")
        done = job.train(python("xgboost"), "xgboost")
        assert done.returncode == 0, done.stderr
        return Trained(job.base / "model", done.stdout)

    return train
