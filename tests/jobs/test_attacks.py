"""Attacks from inside a job, on every runner: a job's own names must lead the server nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.jobs.spec import JobSpec, Pipe
from tests.jobs.conftest import WAIT_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Lab

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
