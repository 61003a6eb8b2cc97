# ruff: noqa: PTH103, PTH106, PTH110, PTH120, PTH123, PTH207 - pathlib would cost every supervisor 8 ms of its start
"""Limits of memory, CPU and processes of a process host, by cgroup v1 or v2 where this user may make one. Best effort, said in the log.

Address-space limits (RLIMIT_AS) are no substitute: CUDA and allocators reserve far more than they use.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time

_ROOT = "/sys/fs/cgroup"
_PERIOD_US = 100_000


def make(name: str, limits: dict[str, float | None]) -> tuple[list[str], list[str]]:
    """Make the groups of one host; returns (their directories, what could not be limited and why).

    `limits` by controller: memory in MiB, cpu in CPUs, pids in processes and threads.
    """
    folders: list[str] = []
    problems: list[str] = []
    v2 = os.path.exists(f"{_ROOT}/cgroup.controllers")
    for controller, value in limits.items():
        if value is None:
            continue
        folder = f"{_ROOT}/localmaker/{name}" if v2 else f"{_ROOT}/{controller}/localmaker/{name}"
        try:
            _prepare(folder, controller, v2)
            _limit(folder, controller, value, v2)
        except OSError as error:
            problems.append(f"{controller} is not limited to {value}: {error.strerror}")
        else:
            folders += [folder] if folder not in folders else []
    return folders, problems


def oom_killed(folders: list[str]) -> bool:
    """Return whether the kernel has killed anything in these groups for lack of memory."""
    for folder in folders:
        for file in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError), open(f"{folder}/{file}", encoding="ascii") as lines:
                if any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines):
                    return True
    return False


def leftovers(job: str) -> list[str]:
    """Return the groups that a dead supervisor has left of a job."""
    return [*glob.glob(f"{_ROOT}/localmaker/{job}-*"), *glob.glob(f"{_ROOT}/*/localmaker/{job}-*")]


def remove(folders: list[str]) -> None:
    """Kill whatever is left in the groups and remove them."""
    for folder in folders:
        for _ in range(100):
            with contextlib.suppress(OSError), open(f"{folder}/cgroup.procs", encoding="ascii") as pids:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), 9)
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)  # the kernel takes a moment to release a killed process
            else:
                break


def _prepare(folder: str, controller: str, v2: bool) -> None:
    parent = os.path.dirname(folder)
    if v2:
        for level in (_ROOT, parent):
            os.makedirs(level, exist_ok=True)
            _put(f"{level}/cgroup.subtree_control", f"+{controller}")
    os.makedirs(folder, exist_ok=True)


def _limit(folder: str, controller: str, value: float, v2: bool) -> None:
    if controller == "memory":
        limit = str(int(value) << 20)
        _put(f"{folder}/{'memory.max' if v2 else 'memory.limit_in_bytes'}", limit)
        with contextlib.suppress(OSError):  # swap accounting is often switched off
            _put(f"{folder}/{'memory.swap.max' if v2 else 'memory.memsw.limit_in_bytes'}", "0" if v2 else limit)
        return
    if controller == "pids":
        _put(f"{folder}/pids.max", str(int(value)))
        return
    quota = max(1000, int(value * _PERIOD_US))
    if v2:
        _put(f"{folder}/cpu.max", f"{quota} {_PERIOD_US}")
    else:
        _put(f"{folder}/cpu.cfs_period_us", str(_PERIOD_US))
        _put(f"{folder}/cpu.cfs_quota_us", str(quota))


def _put(path: str, value: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(value)
