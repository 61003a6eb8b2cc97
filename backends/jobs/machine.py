"""What this machine has: CPUs, memory, GPUs, and so many places for the hosts of jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import psutil

FEWEST_PLACES = 4
MB_PER_PLACE = 2048


@cache
def gpu_indexes() -> tuple[int, ...]:
    """Return this machine's NVIDIA GPUs, as nvidia-smi numbers them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    listed = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=False, timeout=20
    )
    return tuple(int(line) for line in listed.stdout.split() if line.isdigit()) if listed.returncode == 0 else ()


@cache
def memory_mb() -> int:
    """Return this machine's memory in MiB."""
    return int(psutil.virtual_memory().total // (1024 * 1024))


@cache
def cpus() -> int:
    """Return the CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def places() -> int:
    """Return how many hosts of jobs run at once, unless LOCALMAKER_MAX_JOBS says so.

    One per CPU and at least four, since a job mostly waits; as far as the memory allows 2 GiB each.
    """
    return max(1, min(max(FEWEST_PLACES, cpus()), memory_mb() // MB_PER_PLACE))
