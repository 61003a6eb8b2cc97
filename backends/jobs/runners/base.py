"""What every runner can do. A runtime is one file beside this one; it must pass `tests/jobs/test_runner*.py` unchanged.

No method waits for the job, but `wait`. A handle is only a name: it may be kept in the database, and any server that
has the data directory may use it. All methods may be called from any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.jobs.spec import Exit, ImageRef, JobSpec


class StartError(Exception):
    """A job that cannot be started, known at once. `code` is AWS's class of failure (training.md section 7)."""

    def __init__(self, message: str, code: str = "ClientError") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Handle:
    """A started job: its id, its directory, and the name of the runner that has it."""

    job: str
    directory: Path
    runner: str

    @property
    def state(self) -> Path:
        """The directory of the supervisor's files."""
        return self.directory / "supervisor"


@dataclass(frozen=True)
class LogLine:
    """One line of a host's stdout or stderr, without its newline. `offset` is what to pass as `since` to go on after it."""

    host: str
    timestamp_ms: int
    text: str
    offset: int


@dataclass(frozen=True)
class Change:
    """A file of `spec.sync[sync]` that appeared, changed or vanished. `offset` as in LogLine."""

    kind: Literal["put", "delete"]
    sync: int
    path: str
    offset: int


class Runner(Protocol):
    """A place where jobs run."""

    name: str
    network_interface: str
    """The interface on which the hosts of a job see each other (`network_interface_name` of resourceconfig.json)."""

    @property
    def home(self) -> str:
        """Return the home of a job's user, where files can be mounted; empty where they cannot."""

    def available(self) -> str | None:
        """Return the reason why nothing can run here; None when it can."""

    def refusal(self, image: ImageRef) -> str | None:
        """Return the reason why this image cannot run here now; None when it can."""

    def endpoint_host(self) -> str:
        """Return the address at which a job that is not isolated reaches a server on this machine."""

    def start(self, spec: JobSpec) -> Handle:
        """Start a job and return at once. Raises StartError; later failures to start are an Exit ("start-failed")."""

    def poll(self, handle: Handle) -> Exit | None:
        """Return how the job ended; None while it runs. Same answer after a restart of the server."""

    def wait(self, handle: Handle, timeout_s: float | None) -> Exit | None:
        """Wait for the end, without polling; None when it has not come in time."""

    def stop(self, handle: Handle, grace_s: float) -> None:
        """Ask for SIGTERM now and SIGKILL after `grace_s`; returns at once, is carried out without the server."""

    def kill(self, handle: Handle) -> None:
        """Ask for SIGKILL now."""

    def logs(self, handle: Handle, since: int = 0) -> Iterator[LogLine]:
        """Return the lines written so far behind offset `since`. A line is given whole or not yet."""

    def changes(self, handle: Handle, since: int = 0) -> Iterator[Change]:
        """Return the changes of mirrored directories (checkpoints) written so far behind offset `since`."""

    def address(self, handle: Handle, host: str, port: int) -> tuple[str, int] | None:
        """Return the (ip, port) at which the server reaches a port of a host; None while it is not known."""

    def adopt(self) -> list[Handle]:
        """Return every job of this data directory that has not been removed, running or not; takes over what it can."""

    def remove(self, handle: Handle) -> None:
        """Forget a job and remove everything of it but its directory; a running one is killed. Idempotent."""
