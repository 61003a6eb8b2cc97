"""A server that is not root reads and removes what containers of root have written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.endpoints.served import Served, variant
from tests.engine import ROOT, docker_reason, open_to_others
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = Path("/var/run/docker.sock")
ORDINARY = 61234  # a user that no machine has
PRIVATE = """
import os, pathlib, sys, time
os.umask(0o077)
print("user", os.getuid(), flush=True)
for folder in ("/opt/ml/model/deep", "/opt/ml/output/data/deep", "/opt/ml/checkpoints/deep"):
    os.makedirs(folder)
    pathlib.Path(folder, "secret").write_text("of root")
    os.chmod(folder, 0o500)
pathlib.Path("/opt/ml/output/failure").write_text("nobody may read this") if "fail" in sys.argv else None
sys.exit(5 if "fail" in sys.argv else 0)
"""


def interpreter(prefix: tuple[str, ...]) -> str:
    """Find a Python of this version that the user may start: the one that runs the tests may lie in root's home."""
    names = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    probe = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for name in names:
        tried = (
            subprocess.run([*prefix, name, "-c", probe], capture_output=True, check=False)
            if Path(name).exists()
            else None
        )
        if tried is not None and tried.returncode == 0:
            return name
    pytest.skip("an ordinary user of this machine can start none of " + ", ".join(names))


@pytest.fixture
def ordinary(account: str) -> Iterator[Site]:
    """Yield an account on a server that runs as an ordinary user with access to Docker."""
    if docker_reason():
        pytest.skip(docker_reason())
    folder = Path(tempfile.mkdtemp(prefix="localmaker-ordinary-"))
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None or not SOCKET.exists():
            pytest.skip("setpriv, or Docker's socket, is not there: no ordinary user can be tried")
        group = SOCKET.stat().st_gid
        prefix = (setpriv, f"--reuid={ORDINARY}", f"--regid={ORDINARY}", f"--groups={group}")
        os.chown(folder, ORDINARY, ORDINARY)
        open_to_others(ROOT)
    python = interpreter(prefix)
    variables = {"HOME": str(folder), "PYTHONPATH": ":".join(entry for entry in sys.path if entry)}
    live = LiveServer(folder / "data", {"runner": "docker"}, variables, prefix, python)
    live.data_dir.mkdir()
    if prefix:
        os.chown(live.data_dir, ORDINARY, ORDINARY)
    live.start()
    site = Site(live, account, "docker")
    yield site
    site.close()
    live.end_jobs()
    live.stop()
    # As that user would: nothing may be left that only root can remove.
    subprocess.run([*prefix, "rm", "-r", str(live.data_dir)], check=True, timeout=30)
    shutil.rmtree(folder)


@pytest.mark.docker
def test_files_of_roots_containers_are_read_and_removed(ordinary: Site) -> None:
    uri = f"s3://{ordinary.bucket}/checkpoints"
    job = ordinary.run(PRIVATE, CheckpointConfig={"S3Uri": uri})
    name = job["TrainingJobName"]
    assert "user 0" in ordinary.lines(name)
    assert ordinary.artifact(job) == {"deep/secret": b"of root"}
    assert ordinary.archive(f"s3://{ordinary.bucket}/out/{name}/output/output.tar.gz") == {"deep/secret": b"of root"}
    assert ordinary.keys(f"{uri}/") == ["deep/secret"]
    assert_nothing_left(ordinary)


@pytest.mark.docker
def test_a_private_failure_file_is_the_reason(ordinary: Site) -> None:
    job = ordinary.ended(ordinary.start(PRIVATE, algorithm={"ContainerArguments": ["fail"]}))
    assert job["FailureReason"] == "AlgorithmError: nobody may read this, exit code: 5"
    assert_nothing_left(ordinary)


@pytest.mark.docker
def test_an_endpoint_leaves_nothing(ordinary: Site) -> None:
    served = Served(ordinary)
    served.deploy(served.config(variant(served.model(served.container("one")))))
    assert served.invoke("x") == "x|one|one"
    served.delete()
    assert_nothing_left(ordinary)


def assert_nothing_left(site: Site) -> None:
    """Wait until what jobs left on the disk is gone: that follows their last status."""
    jobs = site.live.data_dir / "jobs"
    deadline = time.monotonic() + 20
    while any(jobs.iterdir()):
        assert time.monotonic() < deadline, list(jobs.rglob("*"))
        time.sleep(0.05)
