"""What only the Docker runner has: entrypoints, GPUs asked of an engine, and other people's files given back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import backends
from backends.jobs.runners import sandbox
from backends.jobs.spec import ImageRef
from tests.engine import open_to_others
from tests.jobs.conftest import IMAGE, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs.conftest import Lab

ROOT = Path(backends.__file__).parent.parent


@pytest.fixture
def image_with_entrypoint(lab: Lab) -> Iterator[ImageRef]:
    if lab.kind != "docker":
        pytest.skip("about Docker images")
    api: Any = lab.runner._docker().api
    base = api.create_container(IMAGE, ["true"])["Id"]
    tag = f"localmaker-suite:{uuid.uuid4().hex}"
    repository, _, version = tag.partition(":")
    changes = ['ENTRYPOINT ["echo", "from the image"]', 'CMD ["serve"]']
    api.commit(base, repository=repository, tag=version, changes=changes)
    api.remove_container(base)
    yield ImageRef(tag)
    api.remove_image(tag, force=True)


def test_an_entrypoint_is_kept_or_replaced(lab: Lab, image_with_entrypoint: ImageRef) -> None:
    assert lab.run(("train",), image=image_with_entrypoint)[1] == ["from the image train"]
    assert lab.run(("train",), entrypoint=("echo",), image=image_with_entrypoint)[1] == ["train"]


def test_gpus_that_the_engine_does_not_have_are_a_capacity_error(lab: Lab) -> None:
    if lab.kind != "docker":
        pytest.skip("the process runner only names devices")
    if "nvidia" in lab.runner._docker().info()["Runtimes"]:
        pytest.skip("this engine has GPUs")
    end, _ = lab.run("pass", gpus=(0,))
    assert (end.reason, end.code, end.ok) == ("start-failed", "CapacityError", False)
    assert "could not select device driver" in end.message


def test_containers_get_an_init_no_new_privileges_and_limits(lab: Lab) -> None:
    if lab.kind != "docker":
        pytest.skip("about containers")
    handle = lab.start(
        lab.spec("print('ready'); time.sleep(60)", memory_mb=256, cpus=0.5, shm_mb=32, labels={"a": "b"})
    )
    lab.wait_for(handle, "ready")
    label = f"localmaker.job={handle.job}"
    (container,) = lab.runner._docker().containers.list(filters={"label": label})
    config = container.attrs["HostConfig"]
    assert (config["Init"], config["SecurityOpt"]) == (True, ["no-new-privileges"])
    assert (config["Memory"], config["NanoCpus"], config["ShmSize"]) == (256 << 20, 5 * 10**8, 32 << 20)
    assert container.labels["a"] == "b"


ORDINARY = """
import sys, os, shutil
from pathlib import Path
sys.path[:0] = [{root!r}]
sys.path += {packages!r}
from backends.jobs.runners.docker import DockerRunner
from backends.jobs.runners.process import ProcessRunner
from backends.jobs.spec import HostSpec, ImageRef, JobSpec
base = Path({base!r})
runner = DockerRunner(base / 'runners', 'suite') if {docker!r} else ProcessRunner(base / 'runners')
opt_ml = base / 'job' / 'algo-1'
(opt_ml / 'model').mkdir(parents=True)
code = 'umask 077; mkdir /opt/ml/model/deep; echo secret > /opt/ml/model/deep/file; echo done'
spec = JobSpec('ordinary', base / 'job', (HostSpec('algo-1', opt_ml),), ImageRef({image!r}, {venv}),
               ('sh', '-c', code), isolated=True)
handle = runner.start(spec)
found = runner.wait(handle, 30)
assert found and found.ok, (found, list(runner.logs(handle)))
assert (opt_ml / 'model' / 'deep' / 'file').read_text() == 'secret\\n'
runner.remove(handle)
shutil.rmtree(base / 'job')
print('all gone', os.geteuid())
"""


@pytest.mark.parametrize("docker", [False, pytest.param(True, marks=pytest.mark.docker)])
def test_a_server_of_an_ordinary_user_can_read_and_remove_what_jobs_left(docker: bool, tmp_path: Path) -> None:
    python = shutil.which("python3.11", path="/usr/local/bin:/usr/bin:/bin")
    if os.geteuid() != 0 or not shutil.which("setpriv") or not python:
        pytest.skip("needs root (to become somebody else), setpriv and a Python 3.11 that everybody may run")
    groups = 1234
    if docker:
        runner = make("docker", tmp_path)
        reason = runner.available() or runner.refusal(ImageRef(IMAGE))
        runner.close()
        if reason:
            pytest.skip(reason)
        groups = Path("/var/run/docker.sock").stat().st_gid
    elif sandbox.best_mode() != "bwrap":
        pytest.skip("bubblewrap is not installed or does not work here")
    open_to_others(ROOT)
    base = Path("/tmp", f"localmaker-{uuid.uuid4().hex}")
    base.mkdir()
    os.chown(base, 1234, 1234)
    packages = [entry for entry in sys.path if entry.endswith("site-packages")]
    program = ORDINARY.format(
        root=str(ROOT),
        packages=packages,
        base=str(base),
        docker=docker,
        image=IMAGE,
        venv="Path('/usr')",
    )
    become = ["setpriv", "--reuid", "1234", "--regid", "1234", "--groups", str(groups)]
    try:
        ended = subprocess.run(
            [*become, python, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        shutil.rmtree(base)
    assert ended.stdout == "all gone 1234\n", ended.stderr
