"""Admission: a job starts when its GPUs are free and not too many other jobs run. First come, first served.

GPUs are given out exclusively. CPUs and memory are limits on each host, not reservations: a machine of two cores must
be able to run a two-host job of `ml.m5.4xlarge`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from functools import cache

import psutil


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What one job wants: hosts that run at once, and GPUs for all of them together."""

    hosts: int
    gpus: int


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
def machine_memory_mb() -> int:
    """Return this machine's memory in MiB."""
    return int(psutil.virtual_memory().total // (1024 * 1024))


@cache
def machine_cpus() -> int:
    """Return the CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Slots:
    """Who runs, who holds which GPU, and who waits in which order."""

    def __init__(self, max_hosts: int | None = None, gpus: tuple[int, ...] | None = None) -> None:
        self._max_hosts = max_hosts or max(4, machine_cpus())
        self._free = list(gpu_indexes() if gpus is None else gpus)
        self.gpu_count = len(self._free)
        self._held: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._queue: list[str] = []
        self._changed = threading.Condition()

    def acquire(self, job: str, request: ResourceRequest, timeout_s: float) -> tuple[int, ...] | None:
        """Wait for a job's turn, at most `timeout_s`; give its GPUs, or None when its turn has not come.

        A job that gave up waiting for the moment keeps its place until `release`.
        """
        with self._changed:
            if job in self._held:
                return self._held[job][1]
            if job not in self._queue:
                self._queue.append(job)
            if not self._changed.wait_for(lambda: self._fits(job, request), timeout_s):
                return None
            self._queue.remove(job)
            taken = tuple(self._free[: request.gpus])
            del self._free[: request.gpus]
            self._held[job] = (request.hosts, taken)
            self._changed.notify_all()
            return taken

    def hold(self, job: str, hosts: int, gpus: tuple[int, ...]) -> None:
        """Count in a job that already runs (adopted after a restart)."""
        with self._changed:
            self._held[job] = (hosts, gpus)
            self._free = [index for index in self._free if index not in gpus]

    def release(self, job: str) -> None:
        """Return what a job holds, or its place in the queue. Idempotent."""
        with self._changed:
            _, gpus = self._held.pop(job, (0, ()))
            self._free = sorted({*self._free, *gpus})
            if job in self._queue:
                self._queue.remove(job)
            self._changed.notify_all()

    def _fits(self, job: str, request: ResourceRequest) -> bool:
        running = sum(hosts for hosts, _ in self._held.values())
        fits = not running or running + request.hosts <= self._max_hosts  # a job larger than the machine runs alone
        return self._queue[0] == job and fits and request.gpus <= len(self._free)
