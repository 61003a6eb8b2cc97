"""What a job finds when it reaches for the machine: its user, capabilities, /etc, /proc, processes, disk; on every runner."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.jobs.runners import identity, sandbox
from backends.jobs.spec import Mount
from backends.jobs.supervisor import cgroup

if TYPE_CHECKING:
    from tests.jobs.conftest import Lab

WAIT_S = 30.0
LOOK = """
import json
def tried(path, mode):
    try:
        open(path, mode).close()
        return 'done'
    except OSError as error:
        return error.strerror
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
core = open('/proc/sys/kernel/core_pattern').read()
seen = {'uid': os.getuid(), 'capabilities': status['CapEff'].strip(), 'bounding': status['CapBnd'].strip(),
        'no new privileges': status['NoNewPrivs'].strip(), 'shadow': tried('/etc/shadow', 'r'),
        'core_pattern': tried('/proc/sys/kernel/core_pattern', 'w'), 'memory': tried('/proc/1/mem', 'r'),
        'sysrq': tried('/proc/sysrq-trigger', 'w'), 'etc': sorted(os.listdir('/etc')), 'shm': tried('/dev/shm/x', 'w'),
        'outside': tried(OUTSIDE, 'w'), 'plan': tried(PLAN, 'r')}
print(json.dumps(seen))
"""


def test_a_job_has_no_power_over_the_machine(lab: Lab, tmp_path: Path) -> None:
    spec = lab.spec("pass")
    plan = spec.directory / "supervisor" / "plan.json"
    names = f"OUTSIDE, PLAN = {str(tmp_path / 'outside')!r}, {str(plan)!r}\n"
    command = (*spec.command[:3], spec.command[3].removesuffix("pass") + "\n" + names + LOOK)
    handle = lab.start(replace(spec, command=command))
    assert lab.runner.wait(handle, WAIT_S).ok, lab.texts(handle)
    seen = json.loads(lab.texts(handle)[-1])
    assert seen["shm"] == "done"
    assert seen["no new privileges"] == "1"
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    if lab.kind == "docker":  # root of a container, with Docker's own few capabilities
        assert {seen["outside"], seen["plan"]} == {"No such file or directory"}
        assert seen["core_pattern"] == "Read-only file system"
        return
    assert int(seen["capabilities"], 16) == int(seen["bounding"], 16) == 0
    if lab.kind == "plain":
        return
    assert seen["core_pattern"] != "done"
    if lab.kind == "bwrap":
        number = int((tmp_path / "runners/process-networks" / spec.id).read_text())
        assert seen["uid"] == (identity.user_of(number) or 1000)
        assert seen["shadow"] == "No such file or directory"
        assert seen["outside"] == seen["plan"] == "No such file or directory"
        assert "done" not in {seen["memory"], seen["sysrq"]}
        assert not {"shadow", "gshadow", "ssh", "sudoers", "machine-id", "docker"} & set(seen["etc"])
        assert {"hosts", "passwd", "group", "resolv.conf", "ssl"} <= set(seen["etc"])


def test_processes_are_limited(lab: Lab) -> None:
    code = """
import subprocess
children = []
try:
    for _ in range(400):
        children.append(subprocess.Popen(['sleep', '30'], stdin=subprocess.DEVNULL))
except OSError as error:
    print(error.strerror)
print(len(children) < 100)
for child in children:
    child.kill()
"""
    groups, problems = cgroup.make("probe", {"pids": 64})
    cgroup.remove(groups)
    if lab.kind == "plain" and problems:
        pytest.skip(f"no limit of processes for plain subprocesses here: {problems[0]}")
    _, texts = lab.run(code, processes=64)
    assert texts[-2:] == ["Resource temporarily unavailable", "True"]


def test_a_full_volume_ends_the_job(lab: Lab) -> None:
    code = """
block = b'x' * (1 << 20)
for number in range(64):
    with open(f'{ml}/model/{number}', 'wb') as file:
        for _ in range(4):
            file.write(block)
time.sleep(60)
"""
    end, _ = lab.run(code, volume_bytes=128 << 20)
    assert end.reason == "killed"
    assert end.message.startswith("ClientError: No space left on device: algo-1 has written more than its volume")


def test_what_a_job_prints_is_of_its_volume(lab: Lab) -> None:
    if lab.kind in {"unshare", "plain"}:
        pytest.skip("as in bubblewrap")
    code = """
line = 'x' * 8000
while True:
    print(line)
"""
    end, _ = lab.run(code, volume_bytes=64 << 20)
    assert end.message.startswith("ClientError: No space left on device")


@pytest.mark.parametrize("own", [True, False])
def test_the_jobs_own_mounts_are_of_its_volume_and_shared_ones_are_not(lab: Lab, tmp_path: Path, own: bool) -> None:
    """A checkpoint directory outside of /opt/ml is the job's own; a file system (EFS) is not."""
    if lab.kind == "plain":
        pytest.skip("there are no mounts")
    code = """
for number in range(20):
    open(f'/given/{number}', 'wb').write(b'x' * (10 << 20))
time.sleep(2.5)
"""
    spec = lab.spec(code, volume_bytes=128 << 20)
    place = (spec.directory if own else tmp_path) / "given"
    place.mkdir()
    place.chmod(0o777)
    host = replace(spec.hosts[0], mounts=(Mount(place, "/given", read_only=False),))
    handle = lab.start(replace(spec, hosts=(host,)))
    end = lab.runner.wait(handle, WAIT_S)
    assert end is not None
    assert (end.reason == "killed") == own, (end, lab.texts(handle))


def test_one_file_cannot_pass_the_volume(lab: Lab) -> None:
    if lab.kind == "docker":
        pytest.skip("the engine's ulimits know no file size per job here: the volume is watched")
    code = "f = open(ml + '/model/big', 'wb')\ntry:\n    f.truncate(64 << 20)\nexcept OSError as error:\n    print(error.strerror)"
    assert lab.run(code, volume_bytes=16 << 20)[1] == ["File too large"]


def test_a_weaker_sandbox_says_so(lab: Lab) -> None:
    handle = lab.start(lab.spec("pass"))
    lab.runner.wait(handle, WAIT_S)
    said = [line.text for line in lab.runner.logs(handle) if "this sandbox is weaker" in line.text]
    assert bool(said) == (lab.kind in {"unshare", "plain"})


def test_jobs_of_root_run_as_users_of_their_own() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start processes as somebody else")
    assert identity.user_of(1) != identity.user_of(2)
    assert identity.user_of(1) != 0
    assert sandbox.weaknesses("bwrap") == []


def test_handing_over_follows_no_link(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    outside, own = tmp_path / "outside", tmp_path / "mine"
    outside.mkdir()
    (outside / "file").write_text("")
    own.mkdir()
    (own / "folder").symlink_to(outside)
    (own / "file").symlink_to(outside / "file")
    os.link(outside / "file", own / "hard")
    (own / "own").write_text("")
    identity.hand_over(own, 12345)
    assert {path.lstat().st_uid for path in (outside, outside / "file", own / "hard")} == {0}
    assert {path.lstat().st_uid for path in (own, own / "own", own / "folder")} == {12345}


def test_the_environment_is_not_the_jobs_to_change(lab: Lab) -> None:
    if lab.kind == "docker":
        pytest.skip("an image is its own")
    code = f"""
try:
    open({str(Path(sys.prefix) / "pyvenv.cfg")!r}, 'a').close()
    print('written')
except OSError:
    print('refused')
"""
    before = Path(sys.prefix, "pyvenv.cfg").read_bytes()
    lab.run(code)
    assert Path(sys.prefix, "pyvenv.cfg").read_bytes() == before


def test_no_variable_of_a_job_loads_anything_into_what_makes_its_sandbox(lab: Lab, tmp_path: Path) -> None:
    if lab.kind in {"docker", "plain"}:
        pytest.skip("the engine starts the container; a plain job is not kept from the machine's files")
    outside, commands = tmp_path / "outside", tmp_path / "commands"
    source, library = tmp_path / "library.c", tmp_path / "library.so"
    source.write_text(
        "#include <stdio.h>\n__attribute__((constructor)) static void loaded(void) {"
        f'FILE *file = fopen("{outside}", "a"); if (file) fclose(file); }}\n'
    )
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    commands.mkdir()
    for name in ("mount", "hostname", "mkdir"):
        (commands / name).write_text(f'#!/bin/sh\n: > {outside}\nPATH=/usr/bin:/bin exec {name} "$@"\n')
        (commands / name).chmod(0o755)
    given = {"LD_PRELOAD": str(library), "BASH_ENV": str(library), "LC_ALL": "C.UTF-8"}
    if lab.kind == "unshare":  # which shows the job the library: what must not see it is the sandbox's own shell
        given = {"PATH": f"{commands}:{os.environ['PATH']}"}
    code = "print(' '.join(os.environ.get(name, '') for name in ('LD_PRELOAD', 'LC_ALL', 'PATH')))"
    command = (sys.executable, *lab.spec(code).command[1:])
    handle = lab.start(replace(lab.spec(code), command=command, environment=given))
    assert lab.runner.wait(handle, WAIT_S).ok, lab.texts(handle)
    assert all(value in lab.texts(handle)[-1] for name, value in given.items() if name != "BASH_ENV")
    assert not outside.exists()
