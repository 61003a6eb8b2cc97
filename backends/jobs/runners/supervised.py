"""What the runners of this machine share: they start a supervisor per job and speak with it through files.

The server knows that a supervisor lives by the lock that it holds, never by a pid. The lock is taken by the server
before the supervisor exists and handed down, so that there is no moment at which a started job looks lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from backends.jobs.runners.base import Change, Handle, LogLine, StartError
from backends.jobs.spec import Exit, HostExit
from backends.jobs.supervisor import beneath, files, log, sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.jobs.spec import HostSpec, ImageRef, JobSpec

_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from supervisor.main import main; main()"
_FOLDER = str(Path(files.__file__).parent.parent)
_REMOVE_WAIT_S = 20.0


class SupervisedRunner:
    """All of `Runner` but a job's description. `root` is a directory of the data directory; it remembers which jobs there are."""

    name = ""

    def __init__(self, root: Path) -> None:
        self._registry = root / self.name
        self._registry.mkdir(parents=True, exist_ok=True)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def refusal(self, image: ImageRef) -> str | None:
        """See Runner."""
        raise NotImplementedError

    def _description(self, spec: JobSpec) -> dict[str, Any]:
        """Work out what the supervisor shall do. Raises StartError."""
        raise NotImplementedError

    def _wrapper(self, description: dict[str, Any]) -> Sequence[str]:  # noqa: ARG002 - for who overrides it
        """Return the command under which the supervisor itself is started."""
        return ()

    def _clean(self, handle: Handle) -> None:
        """Remove what a supervisor that died may have left outside of the job's directory."""

    def start(self, spec: JobSpec) -> Handle:
        """See Runner."""
        self._reap()
        reason = self.refusal(spec.image)
        if reason:
            raise StartError(reason)
        _check_texts(spec)
        handle = Handle(spec.id, spec.directory, self.name)
        if (handle.state / files.DESCRIPTION).exists():
            raise StartError(f"Job {spec.id} was started before.", "InternalServerError")
        try:
            self._launch(handle, spec)
        except BaseException:
            beneath.remove(handle.state)
            self.remove(handle)
            raise
        return handle

    def _launch(self, handle: Handle, spec: JobSpec) -> None:
        handle.state.mkdir(parents=True, exist_ok=True)
        for name in (files.DONE, files.CONTROL):
            os.mkfifo(handle.state / name, 0o600)
        description = {"created_at": time.time(), **self._description(spec)}
        with contextlib.ExitStack() as listeners:
            fds = [listeners.enter_context(listener).fileno() for listener in description.pop("listeners", [])]
            files.write(str(handle.state / files.DESCRIPTION), description)
            files.write(str(self._registry / spec.id), {"directory": str(spec.directory)})
            self._spawn(handle, "start", self._wrapper(description), fds)

    def poll(self, handle: Handle) -> Exit | None:
        """See Runner."""
        self._reap()
        ended = self._recorded(handle)
        if ended or not self._is_gone(handle):
            return ended
        ended = self._recorded(handle)  # it may have ended between the two looks
        if ended or self._take_over(handle):
            return ended
        return self._lost(handle)

    def wait(self, handle: Handle, timeout_s: float | None) -> Exit | None:
        """See Runner. Blocks on the `done` FIFO, which hangs up when the exit is written."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            fd = os.open(handle.state / files.DONE, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return self.poll(handle)
        try:
            ended = self.poll(handle)  # after the open: an end before it would not hang up
            poller = select.poll()
            poller.register(fd, 0)
            while ended is None:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                hung_up = poller.poll(None if left is None else left * 1000)
                ended = self.poll(handle)
                if hung_up and ended is None:
                    time.sleep(0.001)  # it died without a record, and the kernel has yet to release its lock
        finally:
            os.close(fd)
        return ended

    def stop(self, handle: Handle, grace_s: float) -> None:
        """See Runner."""
        self._request(handle, {"grace_s": grace_s, "kill": False})

    def kill(self, handle: Handle) -> None:
        """See Runner."""
        self._request(handle, {"grace_s": 0.0, "kill": True})

    def logs(self, handle: Handle, since: int = 0) -> Iterator[LogLine]:
        """See Runner."""
        for stamp_ns, host, text, offset in log.read(str(handle.state / files.LOG), since):
            yield LogLine(host, stamp_ns // 10**6, text, offset)

    def changes(self, handle: Handle, since: int = 0) -> Iterator[Change]:
        """See Runner."""
        for kind, index, path, offset in sync.read(str(handle.state / files.SYNC), since):
            yield Change("put" if kind == "put" else "delete", index, path, offset)

    def address(self, handle: Handle, host: str, port: int) -> tuple[str, int] | None:
        """See Runner."""
        known = files.read(str(handle.state / files.ADDRESSES)) or {}
        published = known.get(host, {}).get(str(port))
        return None if published is None else (str(published[0]), int(published[1]))

    def adopt(self) -> list[Handle]:
        """See Runner."""
        handles = []
        for entry in sorted(self._registry.iterdir()):
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                document = json.loads(entry.read_bytes())
                handle = Handle(entry.name, Path(document["directory"]), self.name)
                if (handle.state / files.DESCRIPTION).exists():
                    self.poll(handle)  # takes over what has no supervisor
                    handles.append(handle)
                else:
                    entry.unlink()
        return handles

    def remove(self, handle: Handle) -> None:
        """See Runner."""
        if not handle.state.exists():
            (self._registry / handle.job).unlink(missing_ok=True)
            return
        if self.poll(handle) is None:
            self.kill(handle)
            self.wait(handle, _REMOVE_WAIT_S)
        lost = self._recorded(handle) is None
        deadline = time.monotonic() + _REMOVE_WAIT_S
        while not self._is_gone(handle) and time.monotonic() < deadline:
            time.sleep(0.005)  # it is removing containers, groups and scratch files
        self._collect(handle.job)
        if lost:
            self._clean(handle)
        beneath.remove(handle.state)
        (self._registry / handle.job).unlink(missing_ok=True)

    def _take_over(self, handle: Handle) -> bool:  # noqa: ARG002 - for who overrides it
        """Start another supervisor for a job whose own has died, if the hosts can have survived it."""
        return False

    def _spawn(self, handle: Handle, verb: str, wrapper: Sequence[str] = (), fds: Sequence[int] = ()) -> None:
        """Start the supervisor; it inherits the lock and the writing end of `done`."""
        lock_fd = os.open(handle.state / files.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        done_fd = os.open(handle.state / files.DONE, os.O_RDWR | os.O_CLOEXEC)
        try:
            _lock(lock_fd)
            if verb == "resume" and self._recorded(handle):  # another thread's supervisor has seen it to its end
                return
            program = [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _BOOT,
                _FOLDER,
                str(handle.state),
                str(lock_fd),
                str(done_fd),
                verb,
            ]
            with (handle.state / files.ERRORS).open("ab") as errors:
                child = subprocess.Popen(
                    [*wrapper, *program],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    cwd="/",
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    pass_fds=(lock_fd, done_fd, *fds),
                    start_new_session=True,
                )
        finally:
            os.close(lock_fd)
            os.close(done_fd)
        self._collect(handle.job)  # one that died before this one took over
        with self._lock:
            self._children[handle.job] = child

    def _reap(self) -> None:
        """Collect supervisors that have ended, so that none stays a zombie."""
        with self._lock:
            self._children = {job: child for job, child in self._children.items() if child.poll() is None}

    def _collect(self, job: str) -> None:
        """Collect a supervisor that has released its lock: it is at the very end of its life."""
        with self._lock:
            child = self._children.pop(job, None)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_REMOVE_WAIT_S)

    def _request(self, handle: Handle, request: dict[str, Any]) -> None:
        path = str(handle.state / files.STOP)
        before = files.read(path)
        if before and before["kill"]:
            return
        files.write(path, request)
        with contextlib.suppress(OSError):  # nobody listens: not started yet (it reads the file then), or ended
            fd = os.open(handle.state / files.CONTROL, os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(fd, b".")
            finally:
                os.close(fd)

    def _recorded(self, handle: Handle) -> Exit | None:
        document = files.read(str(handle.state / files.EXIT))
        return None if document is None else Exit.from_json(document)

    def _is_gone(self, handle: Handle) -> bool:
        """Return whether no supervisor holds the lock."""
        try:
            fd = os.open(handle.state / files.LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def _lost(self, handle: Handle) -> Exit:
        description = cast("dict[str, Any] | None", files.read(str(handle.state / files.DESCRIPTION)))
        names = [host["name"] for host in description["hosts"]] if description else []
        message = "The job's supervisor died without a record."
        with contextlib.suppress(FileNotFoundError):
            message += " " + (handle.state / files.ERRORS).read_text(errors="replace")[-500:]
        return Exit({name: HostExit(None) for name in names}, "lost", message=message.strip())


def own_mounts(spec: JobSpec, host: HostSpec) -> list[str]:
    """Return what a host fills beside /opt/ml: its own mounts, and the log. File systems that it shares are not its own."""
    own = [str(m.source) for m in host.mounts if not m.read_only and m.source.is_relative_to(spec.directory)]
    return [*own, str(spec.directory / "supervisor" / files.LOG)]


def _lock(fd: int) -> None:
    """Take the lock; whoever looks at it holds it for a moment, a supervisor for its life. Raises BlockingIOError."""
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.005)
    raise BlockingIOError


def _check_texts(spec: JobSpec) -> None:
    """Refuse what no process can be given: requests' patterns let a NUL through. StartError."""
    texts = [*(spec.entrypoint or ()), *spec.command, *spec.environment, *spec.environment.values()]
    if any("\0" in text for text in texts):
        raise StartError("The entrypoint, the arguments and the environment must not hold the character NUL.")
