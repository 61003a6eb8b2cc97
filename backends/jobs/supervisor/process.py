# ruff: noqa: PTH112, PTH123, PTH208 - pathlib would cost every supervisor 8 ms of its start
"""A host that is a process of this machine, in a sandbox whose command line the server has worked out.

Two threads: one reads the output, one waits. When the main process ends, everything it left behind is killed: by the
end of its pid namespace, or, where there is none, by a mark in the environment that children inherit.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from . import cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from .log import Log

MARK = "LOCALMAKER_JOB"  # environment variable that every process of a host carries: "<job>-<host>"
_STATUS_FD = 3
_NO_COMMAND = "setpriv: failed to execute"
_ENTER = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1/cgroup.procs"; shift; n=$((n-1)); done; exec "$@"'


class ProcessHost:
    """One host. `entry`: name, argv, env, levels (how many processes stand above the job's own), status, limits."""

    def __init__(self, entry: dict[str, Any], log: Log, ended: Callable[[], None]) -> None:
        self.name: str = entry["name"]
        self.result: dict[str, Any] | None = None
        self.error = ""
        self._entry = entry
        self._log = log
        self._ended = ended
        self._status = b""
        self._pid = 0
        self._reaped = False
        self._groups: list[str] = []

    def prepare(self) -> None:
        """Make the groups that limit the host."""
        self._groups, problems = cgroup.make(self._entry["env"][MARK], self._entry["limits"])
        for problem in problems:
            self._log.note(self.name, f"LocalMaker: {problem}.")

    def start(self) -> None:
        """Start the process; must run in the main thread (the parent-death signal follows the thread)."""
        argv = self._entry["argv"]
        if self._groups:
            argv = ["/bin/sh", "-c", _ENTER, "sh", str(len(self._groups)), *self._groups, *argv]
        out_read, out_write = os.pipe()
        status_read, status_write = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, out_write, 1),
            (os.POSIX_SPAWN_DUP2, out_write, 2),
        ]
        if self._entry["status"]:
            actions.append((os.POSIX_SPAWN_DUP2, status_write, _STATUS_FD))
        try:
            self._pid = os.posix_spawn(
                argv[0], argv, self._entry["env"], file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE]
            )
        except OSError as error:
            self.result = {"code": None, "signal": None, "oom": False}
            self.error = f"{argv[0]}: {error.strerror}"
            os.close(out_read)
            os.close(status_read)
        finally:
            for fd in (out_write, status_write, null):
                os.close(fd)
        if not self.result:
            reader = threading.Thread(target=self._read, args=(out_read, status_read), daemon=True)
            reader.start()
            threading.Thread(target=self._wait, args=(reader,), daemon=True).start()

    def signal(self, number: int) -> None:
        """Send a signal: SIGKILL to all that the host is, any other to the job's own process only."""
        if self.result or self._reaped:
            return
        if number == signal.SIGKILL:
            self._kill()
            return
        pid = self._inner()
        if pid is None:
            self._kill()  # not even started after a second of asking
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def disk_bytes(self) -> int:
        """Measure what the host has on the disk."""
        from . import volume

        return volume.size_of(self._entry["writable"])

    def cleanup(self) -> None:
        """Remove what the host leaves in the kernel."""
        cgroup.remove(self._groups)

    def _inner(self) -> int | None:
        """Find the job's own process below the sandbox's; waits up to a second for it to exist."""
        for _ in range(200):
            pid: int | None = self._pid
            for _ in range(self._entry["levels"]):
                pid = _first_child(pid) if pid else None
            if pid or self.result:
                return pid
            time.sleep(0.005)
        return None

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)

    def _read(self, out: int, status: int) -> None:
        poll = select.poll()
        poll.register(out, select.POLLIN)
        poll.register(status, select.POLLIN)
        left = {out, status}
        while left:
            for fd, _ in poll.poll():
                data = os.read(fd, 1 << 16)
                if fd == out and data:
                    self._log.feed(self.name, data)
                elif data:
                    self._status += data
                else:
                    poll.unregister(fd)
                    os.close(fd)
                    left.discard(fd)
        self._log.end(self.name)

    def _wait(self, reader: threading.Thread) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._reaped = True
        if not self._entry["contained"]:
            _kill_marked(self._entry["env"][MARK])
        reader.join(5)
        self._finish(code if code >= 0 else 128 - code)

    def _finish(self, code: int) -> None:
        oom = cgroup.oom_killed(self._groups)
        reports = [json.loads(line) for line in self._status.splitlines() if line.startswith(b"{")]
        codes = [report["exit-code"] for report in reports if "exit-code" in report]
        if self._entry["status"] and not codes and code == 1:
            # bubblewrap reports an exit code only for a command that it could start.
            self.error = self._log.last(self.name) or "the command could not be started"
            self.result = {"code": None, "signal": None, "oom": oom}
        else:
            code = codes[-1] if codes else code
            number = code - 128 if 128 < code <= 128 + signal.NSIG else None
            self.result = {"code": code, "signal": number, "oom": oom}
            last = self._log.last(self.name)
            if code in {126, 127} and last.startswith(_NO_COMMAND):
                self.error = last  # the sandbox ran, the command in it never did
        self._ended()


def _first_child(pid: int) -> int | None:
    """Return the oldest child of a process, None when it has none (yet)."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _kill_marked(value: str) -> None:
    """Kill every process that carries the host's mark in its environment, until none is left."""
    mark = f"{MARK}={value}".encode()
    for _ in range(20):
        killed = 0
        for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    os.kill(int(name), signal.SIGKILL)
                    killed += 1
        if not killed:
            return
        time.sleep(0.01)
