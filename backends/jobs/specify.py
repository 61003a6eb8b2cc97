"""The one way from what a container is asked to run to a JobSpec: credentials, limits, region, GPUs, quiet settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backends.jobs import credentials, images, places
from backends.jobs.spec import QUIET, JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.instances import Instance
    from backends.jobs.places import Place
    from backends.jobs.spec import HostSpec, Pipe, Sync


@dataclass(frozen=True)
class ContainerRequest:
    """What one job of a runner is made from. `session`: whose keys these are, `keys.end_sessions` ends them by it.

    `opened`: the tags that the role's session is opened with (`role_access.chained`).

    `environment` is the component's own variables and then the request's, which win.
    """

    job: str
    directory: Path
    hosts: tuple[HostSpec, ...]
    arn: str
    image: str
    instance: Instance
    role: str
    session: str
    isolated: bool
    environment: Mapping[str, str]
    gpus: tuple[int, ...] = ()
    volume_bytes: int | None = None
    ports: tuple[int, ...] = ()
    pipes: tuple[Pipe, ...] = field(default=())
    sync: tuple[Sync, ...] = field(default=())
    opened: Mapping[str, Any] = field(default_factory=dict)


def job_spec(cx: Context, place: Place, request: ContainerRequest, log: Callable[[str], None]) -> JobSpec:
    """Return the JobSpec of a request at a place; a limit that this machine lowers is logged."""
    access = (
        credentials.Access()
        if request.isolated
        else credentials.for_job(cx, place.runner, request.role, request.session, request.opened)
    )
    limits = places.limits_of(request.instance, log)
    return JobSpec(
        id=request.job,
        directory=request.directory,
        hosts=tuple(replace(host, mounts=(*host.mounts, *access.mounts)) for host in request.hosts),
        image=place.image,
        command=place.command,
        entrypoint=place.entrypoint,
        environment=environment_of(cx.region, request, access.environment),
        isolated=request.isolated,
        cpus=limits.cpus,
        memory_mb=limits.memory_mb,
        volume_bytes=request.volume_bytes,
        gpus=request.gpus,
        ports=request.ports,
        labels={"localmaker.arn": request.arn},
        pipes=request.pipes,
        sync=request.sync,
    )


def environment_of(region: str, request: ContainerRequest, access: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of every host: what every job has, the way back to this server, then the request's own."""
    return {
        **QUIET,
        "LOCALMAKER_IMAGE_TAG": images.tag_of(request.image),
        **({"LOCALMAKER_REQUIRED_GPUS": str(len(request.gpus))} if request.gpus else {}),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **access,
        **request.environment,
    }
