"""The suite of every job runner, its second half: how jobs end, by themselves or not, and who learns of it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import backends
from backends.jobs.runners.base import StartError
from tests.jobs.conftest import WAIT_S, make

if TYPE_CHECKING:
    from backends.jobs.runners.base import Handle
    from tests.jobs.conftest import Lab

ROOT = Path(backends.__file__).parent.parent


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_reported(lab: Lab, code: int) -> None:
    end, _ = lab.run(f"sys.exit({code})")
    assert (end.hosts["algo-1"].code, end.reason, end.ok) == (code, "exited", code == 0)
    assert end.started_at is not None
    assert end.ended_at is not None
    assert end.started_at <= end.ended_at <= time.time()


def test_a_death_by_signal_is_128_and_its_number(lab: Lab) -> None:
    end, _ = lab.run("os.kill(os.getpid(), 9)")
    assert (end.hosts["algo-1"].code, end.hosts["algo-1"].signal, end.hosts["algo-1"].oom) == (137, 9, False)


TRAP = """
import signal
def leave(number, frame):
    open(ml + '/model/saved', 'w').write('yes')
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print('ready')
time.sleep(60)
"""


def test_stop_lets_a_job_save(lab: Lab) -> None:
    spec = lab.spec(TRAP)
    handle = lab.start(spec)
    lab.wait_for(handle, "ready")
    assert lab.runner.poll(handle) is None
    lab.runner.stop(handle, 20)
    end = lab.runner.wait(handle, WAIT_S)
    assert (end.reason, end.hosts["algo-1"].code) == ("stopped", 0)
    assert (spec.hosts[0].opt_ml / "model" / "saved").read_text() == "yes"


@pytest.mark.parametrize(
    "options",
    [{"environment": {"A": "b\0c"}}, {"entrypoint": ("python\0",)}, {"code": ("python", "-c", "print(1)\0")}],
)
def test_a_text_that_no_process_can_be_given_is_refused(lab: Lab, options: dict[str, Any]) -> None:
    spec = lab.spec(**{"code": "print(1)", **options})
    with pytest.raises(StartError, match="must not hold the character NUL"):
        lab.runner.start(spec)


def test_stop_kills_after_the_grace(lab: Lab) -> None:
    handle = lab.start(lab.spec("import signal; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)"))
    lab.wait_for(handle, "ready")
    begun = time.monotonic()
    lab.runner.stop(handle, 0.5)
    end = lab.runner.wait(handle, WAIT_S)
    assert 0.5 <= time.monotonic() - begun < 10
    assert (end.reason, end.hosts["algo-1"].code) == ("stopped", 137)


def test_a_job_without_a_handler_dies_of_sigterm_at_once(lab: Lab) -> None:
    handle = lab.start(lab.spec("print('ready'); time.sleep(60)"))
    lab.wait_for(handle, "ready")
    lab.runner.stop(handle, 60)
    end = lab.runner.wait(handle, 10)
    assert (end.reason, end.hosts["algo-1"].code) == ("stopped", 143)


def test_kill(lab: Lab) -> None:
    handle = lab.start(lab.spec("import signal; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)"))
    lab.wait_for(handle, "ready")
    lab.runner.kill(handle)
    end = lab.runner.wait(handle, WAIT_S)
    assert (end.reason, end.hosts["algo-1"].code) == ("killed", 137)


def test_a_stop_before_the_start_is_done_is_not_forgotten(lab: Lab) -> None:
    handle = lab.start(lab.spec("time.sleep(60)"))
    lab.runner.stop(handle, 1)
    assert lab.runner.wait(handle, WAIT_S).reason == "stopped"


def test_one_failed_host_ends_the_others(lab: Lab) -> None:
    code = "sys.exit(5) if os.environ['WHO'] == 'host 2' else time.sleep(60)"
    end, _ = lab.run(code, hosts=2, failure_grace_s=2.0)
    assert end.hosts["algo-2"].code == 5
    assert end.hosts["algo-1"].code in {137, 143}
    assert end.reason == "exited"


CONTROLLER = """
import sys, json, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.jobs.conftest import make
from backends.jobs.spec import JobSpec
runner = make({kind!r}, Path({base!r}))
runner.start(JobSpec.from_json(json.load(sys.stdin)))
print('started', flush=True)
time.sleep(60)
"""


def test_another_server_adopts_a_job_whose_server_was_killed(lab: Lab, tmp_path: Path) -> None:
    code = f"[(print(n), time.sleep(0.02)) for n in range(50)]; open(ml + '/model/done', 'w').close()"  # noqa: F541
    spec = lab.spec(code)
    program = CONTROLLER.format(root=str(ROOT), kind=lab.kind, base=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as controller:
        assert controller.stdin is not None
        assert controller.stdout is not None
        controller.stdin.write(json.dumps(spec.to_json()).encode())
        controller.stdin.close()
        assert controller.stdout.readline() == b"started\n"
        os.killpg(os.getpgid(controller.pid), 0)  # it lives
        controller.send_signal(signal.SIGKILL)
    second = make(lab.kind, tmp_path)
    (handle,) = second.adopt()
    lab.handles.append(handle)
    lab.wait_for(handle, "20")
    end = second.wait(handle, WAIT_S)
    assert (end.reason, end.ok) == ("exited", True)
    assert lab.texts(handle) == [str(n) for n in range(50)]
    assert (spec.hosts[0].opt_ml / "model" / "done").exists()
    assert second.poll(handle) == end
    if lab.kind == "docker":
        second.close()


def supervisor_pid(handle: Handle) -> int:
    """Find the supervisor of a job: the process whose command line names its directory."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"\0{handle.state}\0".encode() in (entry / "cmdline").read_bytes():
                return int(entry.name)
    raise AssertionError


def test_a_killed_supervisor_loses_processes_but_no_container(lab: Lab) -> None:
    handle = lab.start(lab.spec("[(print(n), time.sleep(0.05)) for n in range(60)]"))
    lab.wait_for(handle, "10")
    os.kill(supervisor_pid(handle), signal.SIGKILL)
    if lab.kind == "docker":
        assert handle in lab.runner.adopt()
        end = lab.runner.wait(handle, WAIT_S)
        assert end.ok
        assert lab.texts(handle) == [str(n) for n in range(60)]
        return
    end = lab.runner.wait(handle, WAIT_S)
    assert (end.reason, end.hosts["algo-1"].code) == ("lost", None)
    written = lab.texts(handle)
    assert written == [str(n) for n in range(len(written))]
    wait_until_gone(handle.job)


def wait_until_gone(text: str) -> None:
    """Wait until no process carries `text` in its environment or command line."""
    deadline = time.monotonic() + 10
    while True:
        left = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    shown = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                    left += [entry.name] if text.encode() in shown else []
        if not left:
            return
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def test_what_a_job_leaves_running_ends_with_it(lab: Lab) -> None:
    mark = uuid.uuid4().hex
    code = f"import subprocess; subprocess.Popen(['sh', '-c', 'sleep 1000; : {mark}'], start_new_session=True); print('out')"
    begun = time.monotonic()
    end, texts = lab.run(code)
    assert (end.ok, texts) == (True, ["out"])
    assert time.monotonic() - begun < 10
    wait_until_gone(mark)


def test_the_end_is_noticed_quickly(lab: Lab) -> None:
    late = []
    for _ in range(4):
        handle = lab.start(lab.spec("pass"))
        end = lab.runner.wait(handle, WAIT_S)
        late.append(time.time() - end.ended_at)
    assert min(late) < 0.05


def test_many_jobs_leak_nothing(lab: Lab) -> None:
    def run_one() -> None:
        handle = lab.runner.start(lab.spec(("true",)))
        assert lab.runner.wait(handle, WAIT_S).ok
        lab.runner.remove(handle)

    run_one()
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5 if lab.kind == "docker" else 20):
        run_one()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    states = [Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] for child in children]
    assert "Z" not in states
    assert lab.runner.adopt() == []
