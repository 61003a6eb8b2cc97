"""What differs between kinds of services: a component derives it from `ServiceJob` (`service_job.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from backends.core.instances import Instance, instance
from backends.jobs import logs, service
from backends.jobs.opt_ml import make_open
from backends.jobs.service import RestartPolicy
from backends.jobs.spec import HostSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.jobs.places import Place, Wanted
    from backends.jobs.run import Run
    from backends.jobs.service import HealthCheck, Service
    from backends.jobs.specify import ContainerRequest

NEW: dict[str, Any] = {"job": "", "runner": "", "gpus": []}
"""The record of a service that does not run."""


@dataclass(frozen=True, slots=True)
class StatusWords:
    """What a resource's statuses ask of its service, and the status that follows once that is done; as SERVICE_STATES has them.

    `starts`: from a status that asks for the service to the one that shows it healthy (`Pending` to `InService`), which asks
    for it too. `fails`: what follows when it cannot be started, or has ended too often; a status that is not in it never
    fails. `stops` ask for its end. Any other status is one without a service.
    """

    starts: Mapping[str, str] = field(default_factory=lambda: {"Pending": "InService"})
    fails: Mapping[str, str] = field(default_factory=lambda: {"Pending": "Failed", "InService": "Failed"})
    stops: Mapping[str, str] = field(default_factory=lambda: {"Stopping": "Stopped"})
    deletes: frozenset[str] = frozenset({"Deleting"})

    def runs(self, status: str) -> bool:
        """Return whether a status asks for the service."""
        return status in self.starts or status in self.starts.values()


class ServiceKind(ABC):
    """One service as its kind describes it: `wanted` and `health`, as constants or properties, and what else differs.

    Its record, in `run.state["service"]`, survives the server.
    """

    resource: ClassVar[Resource]
    words: ClassVar[StatusWords] = StatusWords()
    restart: RestartPolicy = RestartPolicy()
    grace_s: float = service.STOP_GRACE_S

    def __init__(self, run: Run) -> None:
        self.run = run
        self.record: dict[str, Any] = run.state.setdefault("service", {**NEW})
        self.row = self.read_row()

    @property
    @abstractmethod
    def wanted(self) -> Wanted:
        """What the service runs."""

    @property
    @abstractmethod
    def health(self) -> HealthCheck:
        """How the service shows that it serves, and at which port."""

    @property
    def idle_s(self) -> float | None:
        """After how long without a use the service is stopped; None: never."""
        return None

    def destination(self) -> logs.Destination:
        """Return where the service's lines go: one stream, of its host."""
        key = self.row.key if self.row is not None else ""
        return logs.Destination(f"/aws/sagemaker/{self.resource.noun}s", {self.run.kind: f"{key}/{self.run.kind}"})

    def instance(self) -> Instance:
        """Return what the service may use of this machine."""
        return instance(self.document["InstanceType"])

    def variables(self) -> Mapping[str, str]:
        """Return the component's own variables, then the request's."""
        return {}

    def lay_out(self, made: Service, place: Place) -> ContainerRequest:  # noqa: ARG002
        """Fill the service's directory and return its request, by `made.request`. StartError when that cannot be done."""
        directory = made.directory / "ml"
        make_open(directory, above=made.directory)
        return made.request(
            HostSpec(self.record["host"], directory),
            self.instance(),
            image=self.wanted.image,
            role=self.document["RoleArn"],
            isolated=False,
            environment=self.variables(),
            gpus=tuple(self.record["gpus"]),
            ports=(self.health.port,),
        )

    def shown(self, cx: Context, status: str) -> dict[str, Any]:  # noqa: ARG002
        """Return what Describe shows besides a status that is reached."""
        return {}

    def delete(self, cx: Context, row: Row) -> None:
        """Delete the resource, whose service is gone."""
        self.resource.delete(cx, row)

    @property
    def document(self) -> dict[str, Any]:
        """The resource's document."""
        assert self.row is not None
        return self.row.document

    def read_row(self) -> Row | None:
        """Read the resource, or None."""
        return self.run.find(self.resource)
