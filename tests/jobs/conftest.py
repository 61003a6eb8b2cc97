"""A laboratory for job runners: each test that asks for `lab` runs once per runner, and per sandbox of the process one."""

from __future__ import annotations

import os
import sys
import time
import uuid
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from backends.jobs.runners import sandbox
from backends.jobs.runners.docker import DockerRunner
from backends.jobs.runners.process import ProcessRunner
from backends.jobs.spec import Exit, HostSpec, ImageRef, JobSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.jobs.runners.base import Handle

IMAGE = os.environ.get("LOCALMAKER_TEST_IMAGE", "localmaker/base:bookworm")
WAIT_S = 30.0
ML = "import os, sys, time, socket; ml = os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml'); "


@dataclass
class Lab:
    """A runner with a data directory of its own, and short ways to run something on it."""

    kind: str
    runner: Any
    base: Path
    handles: list[Handle] = field(default_factory=list)

    def spec(self, code: str | tuple[str, ...], hosts: int = 1, **options: Any) -> JobSpec:
        """Return a job that runs Python `code` (or a command) on `hosts` hosts."""
        job = f"job-{uuid.uuid4().hex[:10]}"
        made = []
        for index in range(1, hosts + 1):
            opt_ml = self.base / job / f"algo-{index}"
            (opt_ml / "model").mkdir(parents=True)
            mounts = options.get("mounts", ())
            made.append(HostSpec(f"algo-{index}", opt_ml, mounts, {"WHO": f"host {index}"}))
        options.pop("mounts", None)
        command = ("python", "-u", "-c", ML + code) if isinstance(code, str) else code
        image = options.pop("image", ImageRef(IMAGE, Path(sys.prefix)))
        return JobSpec(job, self.base / job, tuple(made), image, command, **options)

    def start(self, spec: JobSpec) -> Handle:
        """Start a job; it is removed when the test ends."""
        handle: Handle = self.runner.start(spec)
        self.handles.append(handle)
        return handle

    def run(self, code: str | tuple[str, ...], **options: Any) -> tuple[Exit, list[str]]:
        """Run a job to its end: how it ended, and what it printed."""
        handle = self.start(self.spec(code, **options))
        end = self.runner.wait(handle, WAIT_S)
        assert end is not None, "the job did not end"
        return end, self.texts(handle)

    def texts(self, handle: Handle) -> list[str]:
        """Return what the job has printed so far, without lines of our own."""
        return [line.text for line in self.runner.logs(handle) if not line.text.startswith("LocalMaker:")]

    def wait_for(self, handle: Handle, text: str) -> None:
        """Wait until the job has printed a line."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.texts(handle):
            assert time.monotonic() < deadline, f"{text!r} never came: {self.texts(handle)}"
            time.sleep(0.01)


def make(kind: str, base: Path) -> Any:
    """Return a runner whose data directory is `base`; two of the same directory are one installation."""
    if kind == "docker":
        return DockerRunner(base / "runners", f"suite-{zlib.crc32(str(base).encode())}")
    return ProcessRunner(base / "runners", cast("sandbox.Mode", kind))


@pytest.fixture(params=["bwrap", "unshare", "plain", pytest.param("docker", marks=pytest.mark.docker)])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    kind = request.param
    runner = make(kind, tmp_path)
    reason = runner.available() or runner.refusal(ImageRef(IMAGE, Path(sys.prefix)))
    if kind == "bwrap" and sandbox.best_mode() != "bwrap":
        reason = "bubblewrap is not installed or does not work here"
    if kind == "unshare" and sandbox.best_mode() == "plain":
        reason = "namespaces cannot be made here"
    if reason:
        pytest.skip(reason)
    made = Lab(kind, runner, tmp_path)
    yield made
    for handle in made.handles:
        runner.remove(handle)
        assert not handle.state.exists()
    if kind == "docker":
        label = f"localmaker.installation={runner.installation}"
        assert not runner._docker().api.containers(all=True, filters={"label": label})
        assert not runner._docker().networks.list(filters={"label": label})
        runner.close()
