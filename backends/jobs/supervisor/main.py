# ruff: noqa: PTH118 - pathlib would cost every supervisor 8 ms of its start
"""The life of a supervisor: start the hosts, mind their requests, record the end, clean up.

The main thread starts process hosts (their parent-death signal follows the thread) and then waits on two pipes: the
FIFO that notifies it of a request to stop, and a pipe through which hosts tell that they have ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import Any

from . import files, log

_FAILED_HOST_NOTE = "LocalMaker: {name} failed with exit code {code}; the other hosts are being stopped."


class Supervisor:
    """One job. `directory` is the state directory that `files` describes."""

    def __init__(self, directory: str, resume: bool) -> None:
        self._directory = directory
        self._resume = resume
        self._job: dict[str, Any] = files.read(self._path(files.DESCRIPTION))
        self._written = log.last_stamps(self._path(files.LOG)) if resume else {}
        self._log = log.Log(self._path(files.LOG))
        self._control = os.open(self._path(files.CONTROL), os.O_RDWR | os.O_NONBLOCK)
        self._wake_read, self._wake_write = os.pipe()
        self._reason = "exited"
        self._kill_at: float | None = None  # monotonic seconds
        self._failing = False
        self._message = ""
        self._started_at: float = self._job["created_at"] if resume else time.time()
        self._hosts: list[Any] = []
        self._engine: Any = None
        self._mirror: Any = None
        self._publishing = threading.Lock()

    def run(self) -> None:
        """Run the job to its end and write `exit.json`."""
        if not self._resume:
            for note in self._job["notes"]:
                self._log.note(self._job["hosts"][0]["name"], note)
        self._start_mirror()
        if self._job["kind"] == "docker":
            self._start_containers()
        else:
            self._start_processes()
        self._read_requests()
        self._watch_volume()
        while any(host.result is None for host in self._hosts):
            self._wait()
        self._record()

    def cleanup(self) -> None:
        """Remove what the job leaves behind; the exit is already written."""
        for host in self._hosts:
            host.cleanup()
        if self._engine:
            self._remove_networks()
        from . import beneath

        beneath.remove(self._path(files.SCRATCH))

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _ended(self) -> None:
        os.write(self._wake_write, b".")

    def _start_mirror(self) -> None:
        if self._job["sync"]:
            from . import sync

            first = self._job["hosts"][0]["name"]
            self._mirror = sync.Mirror(
                self._job["sync"],
                self._path(files.SYNC),
                self._job["opt_ml"].values(),
                self._job.get("volume_bytes"),
                lambda text: self._log.note(first, text),
            )
            self._mirror.start()

    def _start_pipes(self) -> None:
        if not self._job["pipes"]:
            return
        from . import fifo

        for number, pipe in enumerate(self._job["pipes"]):
            fifo.start(
                pipe,
                self._job["opt_ml"][pipe["host"]],
                self._path(f"fifo-{number}"),
                lambda text: self._fail("ClientError: Data download failed: " + text),
            )

    def _watch_volume(self) -> None:
        if self._job.get("volume_bytes") is None:  # an older version described the job that is taken over: no limit
            return
        from . import volume

        volume.watch(
            {host.name: host.disk_bytes for host in self._hosts},
            self._job["volume_bytes"],
            lambda text: self._fail("ClientError: " + text),
        )

    def _start_processes(self) -> None:
        from .process import ProcessHost

        if self._job["own_network"]:
            from . import relay

            relay.raise_loopback()
            for item in self._job["relays"]:
                os.set_inheritable(item["fd"], False)
                relay.start(item["fd"], item["ip"], item["port"])
        self._start_pipes()
        self._hosts = [ProcessHost(entry, self._log, self._ended) for entry in self._job["hosts"]]
        for host in self._hosts:
            host.prepare()
            host.start()

    def _start_containers(self) -> None:
        from .container import ContainerHost
        from .engine import Engine, EngineError

        self._engine = Engine(self._job["engine"])
        self._hosts = [ContainerHost(entry, self._log, self._ended, self._engine) for entry in self._job["hosts"]]
        if self._resume:
            for network in self._job["networks"]:
                with contextlib.suppress(EngineError):  # the server is in it still
                    self._join(network["Name"])
            for host in self._hosts:
                host.resume(self._publish, self._written.get(host.name, (0, 0)))
            if self._job["pipes"]:
                self._fail("InternalServerError: the supervisor that fed the job's Pipe channels died", "lost")
            return
        self._start_pipes()
        try:
            for network in self._job["networks"]:
                self._engine.call("POST", "/networks/create", network)
                self._join(network["Name"])
        except EngineError as error:
            self._message = error.message
            for host in self._hosts:
                host.result = {"code": None, "signal": None, "oom": False}
            return
        for host in self._hosts:
            host.start(self._publish)

    def _join(self, network: str) -> None:
        """Put the server, if it is a container itself, where the job's hosts reach it and it reaches them."""
        if self._job["server"]:
            self._engine.call("POST", f"/networks/{network}/connect", self._job["server"])

    def _publish(self) -> None:
        """Write down for the server where the hosts are; called whenever one more is known."""
        ports = self._job["ports"]
        with self._publishing:  # each host has a thread: the last one to write must know all
            known = {h.name: {str(port): [h.address, port] for port in ports} for h in self._hosts if h.address}
            files.write(self._path(files.ADDRESSES), known)

    def _wait(self) -> None:
        left = None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())
        ready, _, _ = select.select([self._control, self._wake_read], [], [], left)
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._kill_at = None
            self._signal(signal.SIGKILL)
        if self._control in ready:
            os.read(self._control, 4096)
            self._read_requests()
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
            self._look_for_failure()

    def _read_requests(self) -> None:
        request = files.read(self._path(files.STOP))
        if request is None:
            return
        if request["kill"]:
            self._reason = "killed"
            self._signal(signal.SIGKILL)
            return
        first = self._reason == "exited"
        self._reason = "stopped" if first else self._reason
        deadline = time.monotonic() + request["grace_s"]
        if first:
            self._signal(signal.SIGTERM)
        if first or self._kill_at is None or deadline < self._kill_at:
            self._kill_at = deadline

    def _look_for_failure(self) -> None:
        """Stop the other hosts once one has failed: most would wait for it for ever."""
        failed = [host for host in self._hosts if host.result and host.result["code"] != 0]
        if not failed or self._failing or self._reason != "exited":
            return
        self._failing = True
        if any(host.result is None for host in self._hosts):
            self._log.note(failed[0].name, _FAILED_HOST_NOTE.format(name=failed[0].name, code=failed[0].result["code"]))
            self._signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + self._job["failure_grace_s"]

    def _fail(self, message: str, reason: str = "killed") -> None:
        self._message, self._reason = message, reason
        self._log.note(self._hosts[0].name if self._hosts else self._job["hosts"][0]["name"], f"LocalMaker: {message}")
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for host in self._hosts:
            host.signal(number)

    def _record(self) -> None:
        ended_at = time.time()
        if self._engine:
            from .container import own_again

            problem = own_again(self._engine, self._job)
            if problem:
                self._log.note(self._hosts[0].name, f"LocalMaker: {problem}")
        if self._mirror:
            self._mirror.finish()
        errors = [host.error for host in self._hosts if host.error]
        message = self._message or "; ".join(dict.fromkeys(errors))
        if message and self._reason == "exited":
            self._reason = "lost" if self._resume else "start-failed"
        files.write(
            self._path(files.EXIT),
            {
                "hosts": {host.name: host.result for host in self._hosts},
                "reason": self._reason,
                "message": message,
                "code": "CapacityError" if "could not select device driver" in message else "",
                "started_at": self._started_at,
                "ended_at": ended_at,
            },
        )

    def _remove_networks(self) -> None:
        from .engine import EngineError

        for network in self._job["networks"]:
            if self._job["server"]:
                leaving = {"Container": self._job["server"]["Container"], "Force": True}
                with contextlib.suppress(EngineError):
                    self._engine.call("POST", f"/networks/{network['Name']}/disconnect", leaving)
            with contextlib.suppress(EngineError):
                self._engine.call("DELETE", f"/networks/{network['Name']}")


def main() -> None:
    """Run as a program: state directory, file descriptors of the lock and of the `done` FIFO, "resume" or "start"."""
    directory, lock_fd, done_fd, verb = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    for fd in (lock_fd, done_fd):
        os.set_inheritable(fd, False)  # jobs must not hold them open
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor = Supervisor(directory, resume=verb == "resume")
    supervisor.run()
    os.close(done_fd)
    supervisor.cleanup()
