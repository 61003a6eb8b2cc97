"""What differs between kinds of jobs in containers: a component derives it from `ContainerJob` (`container_job.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from backends.core.instances import Instance, instance
from backends.core.lifecycle import transition
from backends.core.objects import role_access
from backends.jobs import logs, opt_ml
from backends.jobs.admission import LevelError, ResourceRequest
from backends.jobs.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.jobs.admission import CapacityError
    from backends.jobs.opt_ml import Host
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Handle, Runner
    from backends.jobs.spec import HostSpec, JobSpec, Pipe, Sync


class JobEnded(Exception):  # noqa: N818 - how a job ends before or instead of its container
    """The job is over; `verdict` says how."""

    def __init__(self, how: Verdict) -> None:
        super().__init__(how.reason)
        self.verdict = how


class JobGone(Exception):  # noqa: N818
    """The job's resource was deleted or reset; there is nothing left to drive."""


@dataclass(frozen=True)
class ContainerSpec:
    """What a document asks for, with defaults filled in. Times are seconds.

    `mode`: the argument that a container without entrypoint and arguments gets (`train`), or none. `attempts`: how often a
    job that failed for a reason of the service's is tried again. `opened`: the tags that the role's session is opened with.
    """

    name: str
    role: str
    hosts: tuple[Host, ...]
    image: str
    mode: str
    entrypoint: tuple[str, ...] | None
    arguments: tuple[str, ...]
    isolated: bool
    volume_bytes: int | None
    max_runtime_s: float
    max_wait_s: float | None = None
    max_pending_s: float | None = None
    attempts: int = 0
    opened: Mapping[str, Any] = field(default_factory=dict)
    instances: tuple[Instance, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instances", tuple(instance(host.instance_type) for host in self.hosts))

    def request(self, *, use_gpus: bool) -> ResourceRequest:
        """Return what the job needs of this machine."""
        return ResourceRequest(len(self.hosts), sum(kind.gpus for kind in self.instances) if use_gpus else 0)


@dataclass(frozen=True)
class Layout:
    """What was laid out for a job: its hosts with their mounts, its pipes, the directories that are mirrored."""

    hosts: tuple[HostSpec, ...]
    pipes: tuple[Pipe, ...] = ()
    sync: tuple[Sync, ...] = ()


class ContainerKind(ABC):
    """One job as its kind describes it. State that must survive the server is in `run.state`."""

    resource: ClassVar[Resource]
    download_failed: ClassVar[str] = "ClientError: Data download failed:{}"
    upload_failed: ClassVar[str] = "ClientError: Artifact upload failed:{}"

    def __init__(self, run: Run) -> None:
        self.run = run
        self.row = self.read_row()
        self.document = self.row.document
        self.spec = self.read()
        self.to = self.destination()
        self.as_role = role_access.as_role(run.cx, self.spec.role, self.spec.opened.get("tags"))
        self.attempt: int = run.state.get("attempt", 1)
        self.directory = directory_of(run, self.attempt)

    def read_row(self) -> Row:
        """Read the resource. JobGone where it was deleted or reset."""
        row = self.run.find(self.resource)
        if row is None:
            raise JobGone
        return row

    @abstractmethod
    def read(self) -> ContainerSpec:
        """Read what `self.document` asks for."""

    @abstractmethod
    def lay_out(self, runner: Runner) -> Layout:
        """Write what each host finds in its directories. DataError for input that cannot be delivered."""

    @abstractmethod
    def variables(self) -> Mapping[str, str]:
        """Return the component's own variables of every host, then the request's."""

    @abstractmethod
    def failure(self, code: int, is_out_of_memory: bool) -> str:
        """Word the reason of a container that failed."""

    @abstractmethod
    def collect(self, how: Verdict) -> dict[str, Any]:
        """Bring home what the containers left; return what Describe shows of it. AwsError where it cannot be stored."""

    def destination(self) -> logs.Destination:
        """Return where the job's lines and metrics go."""
        return logs.Destination(f"/aws/sagemaker/{self.resource.noun}s", opt_ml.streams_of(self.row, self.spec.hosts))

    def show(self, cx: Context, row: Row, progress: str) -> Row:
        """Show how far a job in progress is: `waiting`, `preparing`, `running`, `collecting`, `retrying`."""
        began = self.began(row, progress)
        return self.resource.update(cx, row, {**row.document, **began}) if began else row

    def began(self, row: Row, progress: str) -> dict[str, Any]:
        """Return the member that shows when the job's time began (`TrainingStartTime`), once it has: with its download."""
        member = f"{self._verb}StartTime"
        return {member: self.run.state["started"]} if progress == "preparing" and member not in row.document else {}

    def finish(self, cx: Context, row: Row, how: Verdict, changes: dict[str, Any]) -> None:
        """Write the last status, and when the job ended."""
        ended = {f"{self._verb}EndTime": cx.clock.now()}
        transition(cx, self.resource, row, self.named(row, how.status), how.reason, **ended, **changes)

    def named(self, row: Row, status: str) -> str:
        """Return a status that may follow, in the letters that the resource writes it with (`STOPPED`)."""
        assert self.resource.machine is not None
        return self.resource.machine.next_like(row.status, status) or status

    @property
    def _verb(self) -> str:
        return self.resource.noun.removesuffix("Job")

    def review(self, how: Verdict) -> Verdict:
        """Return the verdict, or another where what the containers left says so; called before anything is collected."""
        return how

    def stopping(self, cx: Context, row: Row) -> None:
        """Show that the service itself stops the job, whose time is up."""
        transition(cx, self.resource, row, self.named(row, "Stopping"))

    def tend(self, runner: Runner, handle: Handle) -> None:  # noqa: B027 - nothing, for most kinds
        """Carry over what the containers write while they run, besides their logs; called every moment and at the end."""

    def before_start(self, spec: JobSpec) -> None:  # noqa: B027 - nothing, for most kinds
        """Check, at the last moment, what others may have changed since it was laid out. DataError."""

    def capacity_error(self, error: CapacityError) -> Verdict:
        """Return the verdict of a job that can never be admitted: most ask for more GPUs than this machine has."""
        kinds = ", ".join(sorted({kind.name for kind in self.spec.instances if kind.gpus}))
        advice = " Set LOCALMAKER_GPU=cpu to run jobs of GPU instance types on the CPU."
        return Verdict.failed(error.reason(kinds) + ("" if isinstance(error, LevelError) else advice))


def is_status(row: Row, status: str) -> bool:
    """Return whether a resource is in a status, in whichever letters it writes it."""
    return row.status.lower() == status.lower()


def directory_of(run: Run, attempt: int) -> Path:
    """Return the directory of one attempt of a job."""
    return run.kernel.settings.data_dir / "jobs" / run.id / f"attempt-{attempt}"
