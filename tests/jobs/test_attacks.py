"""Attacks from inside a job, on every runner: a job's own names must lead the server nowhere else."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.jobs.spec import JobSpec, Pipe
from tests.jobs.conftest import WAIT_S

if TYPE_CHECKING:
    from tests.jobs.conftest import Lab

PROBES = Path(__file__).with_name("probes.py")
PLANT_FIFO = """
with open(f'{{ml}}/input/data/train_0', 'rb') as pipe:
    os.symlink({target!r}, f'{{ml}}/input/data/train_1')
    print(len(pipe.read()))
time.sleep(1)
"""


def test_a_link_in_the_place_of_a_fifo_is_neither_written_nor_changed(lab: Lab, tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "of-the-machine"
    data.write_bytes(b"sent" * 100_000)  # more than a pipe holds: the link is there before the epoch ends
    target.write_text("kept")
    target.chmod(0o600)
    _, texts = lab.run(PLANT_FIFO.format(target=str(target)), pipes=(Pipe("algo-1", "train", ((data,),)),))
    assert texts == ["400000"]
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("kept", 0o600)


PLANT_CHECKPOINTS = """
import shutil
os.makedirs(ml + '/checkpoints/deep', exist_ok=True)
os.symlink({target!r}, ml + '/checkpoints/linked')
os.symlink({target!r} + '/secret', ml + '/checkpoints/file')
os.mkfifo(ml + '/checkpoints/fifo')
open(ml + '/checkpoints/deep/own', 'w').write('own')
time.sleep(2.5)
shutil.rmtree(ml + '/checkpoints')
os.symlink({target!r}, ml + '/checkpoints')
time.sleep(2.5)
"""


def test_a_link_in_the_place_of_checkpoints_brings_nothing_of_the_machine(lab: Lab, tmp_path: Path) -> None:
    target, remote = tmp_path / "of-the-machine", tmp_path / "remote"
    target.mkdir()
    remote.mkdir()
    (target / "secret").write_text("secret")
    spec = lab.spec(PLANT_CHECKPOINTS.format(target=str(target)))
    local = spec.hosts[0].opt_ml / "checkpoints"
    local.mkdir()
    local.chmod(0o777)
    handle = lab.start(JobSpec.from_json({**spec.to_json(), "sync": [{"local": str(local), "remote": str(remote)}]}))
    assert lab.runner.wait(handle, WAIT_S).ok, lab.texts(handle)
    assert [change.path for change in lab.runner.changes(handle) if change.kind == "put"] == ["deep/own"]
    assert not [path for path in remote.rglob("*") if path.is_file() and "secret" in path.read_text()]


def test_sixty_probes_of_a_hostile_job_get_nothing(lab: Lab, tmp_path: Path) -> None:
    """See probes.py. In `plain` and `unshare` the machine's files can be seen: docs/security.md promises nothing there."""
    if lab.kind in {"plain", "unshare"}:
        pytest.skip("no promise without bubblewrap or Docker")
    folder, other = tmp_path / "of-the-machine", tmp_path / "another-job"
    for made in (folder, other):
        made.mkdir()
        made.chmod(0o777)
    (folder / "secret").write_text("secret")
    spec = lab.spec("pass")
    disk = Path("/").stat().st_dev
    given = {
        "secret": str(folder / "secret"), "folder": str(folder), "other": str(other), "data": str(tmp_path),
        "plan": str(spec.directory / "supervisor" / "plan.json"), "pid": os.getpid(), "image": lab.kind == "docker",
        "disk": [os.major(disk), os.minor(disk)],
    }  # fmt: skip
    command = ("python", "-c", PROBES.read_text(), json.dumps(given))
    handle = lab.start(replace(spec, command=command))
    assert lab.runner.wait(handle, 90) is not None
    outcomes = json.loads(lab.texts(handle)[-1])
    assert len(outcomes) >= 60
    assert {name for name, outcome in outcomes.items() if outcome == "done"} == set()
    assert sorted(path.name for path in folder.iterdir()) == ["secret"]
    assert list(other.iterdir()) == []
