"""One serving container: its model laid out, its JobSpec, its health. Source: developer guide "Use your own inference code".

Every container of an endpoint is a job of its own to the runner; here is what makes it a model server.
"""

from __future__ import annotations

import http.client
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.instances import instance
from backends.core.objects import parse_uri, role_access
from backends.core.policy.principals import role_of
from backends.jobs import archive, channels, places
from backends.jobs.opt_ml import bring, make_open
from backends.jobs.runners.base import Handle, StartError
from backends.jobs.spec import HostSpec
from backends.jobs.specify import ContainerRequest, job_spec
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.objects import StoredObject
    from backends.jobs.runners.base import Runner

PORT = 8080
PING_TIMEOUT_S = 2.0
PING_EVERY_S = 0.05
DEFAULT_STARTUP_S = 240.0
HOST = "model"
# Two sentences of AWS's, which numbers the containers of a model from 1; seen in users' reports.
_MISSING = (
    'Failed to download model data for container "container_{number}" from URL: "{url}". Please ensure that there is an '
    "object located at the URL and that the role passed to CreateModel has permissions to download the object."
)
_BROKEN = (
    'Failed to extract model data archive for container "container_{number}" from URL "{url}". Please ensure that the '
    "object located at the URL is a valid tar.gz archive."
)


@dataclass(frozen=True)
class ContainerSpec:
    """What one container is made from. `container` is a ContainerDefinition of the model."""

    job: str
    directory: Path
    name: str
    variant: str
    instance_type: str
    container: dict[str, Any]
    role: str
    isolated: bool
    startup_s: float
    gpus: tuple[int, ...]
    arn: str
    volume_bytes: int | None = None
    number: int = 1


class ModelDataError(Exception):
    """A model's artifact that cannot be delivered: AWS's sentence, and `detail`, which is for the container's log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def start(cx: Context, spec: ContainerSpec, log_line: Callable[[str], None], check: Callable[[], None]) -> Handle:
    """Lay out a container's model and start it; give its handle. StartError or ModelDataError when it cannot."""
    wanted = places.Wanted(spec.container["Image"], "serve", cuda=bool(spec.gpus))
    place = places.find(cx.kernel, wanted, log_line, check)
    opt_ml = spec.directory / "ml"
    beneath.remove(spec.directory)
    make_open(opt_ml / "model", above=spec.directory)
    try:
        deliver_model(role_access.as_role(cx, spec.role), spec, opt_ml / "model", check)
    except ModelDataError as error:
        if error.detail:
            log_line(f"LocalMaker: the model data archive cannot be extracted: {error.detail}")
        raise
    request = ContainerRequest(
        job=spec.job,
        directory=spec.directory,
        hosts=(HostSpec(spec.container.get("ContainerHostname", HOST), opt_ml),),
        arn=spec.arn,
        image=spec.container["Image"],
        instance=instance(spec.instance_type),
        role=spec.role,
        session=spec.job,
        isolated=spec.isolated,
        environment=spec.container.get("Environment", {}),
        gpus=spec.gpus,
        volume_bytes=spec.volume_bytes,
        ports=(PORT,),
    )
    return place.runner.start(job_spec(cx, place, request, log_line))


def deliver_model(cx: Context, spec: ContainerSpec, target: Path, check: Callable[[], None]) -> None:
    """Put a container's artifact where it expects it: unpacked, or file by file when it is not compressed."""
    source = spec.container.get("ModelDataSource", {}).get("S3DataSource")
    url = spec.container.get("ModelDataUrl") or (source or {}).get("S3Uri")
    if not url:
        return
    bucket, key = parse_uri(url)
    if source is not None and source["CompressionType"] == "None":
        _copy_files(cx, spec, bucket, key, check)
        return
    _check(cx, bucket, "s3:GetObject", key)
    stored = cx.look(lambda inside: cx.objects.head(inside, bucket, key))
    if stored is None:
        raise ModelDataError(_MISSING.format(number=spec.number, url=url))
    packed = spec.directory / "model.tar.gz"
    try:
        _copy(cx, stored, packed, link=True)
        _unpack(packed, target, spec.volume_bytes, check)
    except FileNotFoundError as error:  # deleted since
        raise ModelDataError(_MISSING.format(number=spec.number, url=url)) from error
    except archive.ArchiveError as error:
        raise ModelDataError(_BROKEN.format(number=spec.number, url=url), str(error)) from error
    finally:
        packed.unlink(missing_ok=True)


def _unpack(packed: Path, target: Path, volume_bytes: int | None, check: Callable[[], None]) -> None:
    limits = archive.Limits() if volume_bytes is None else archive.Limits(total_bytes=volume_bytes)
    at = beneath.root(str(target))
    try:
        with packed.open("rb") as file:
            archive.unpack(file, at, limits, check)
    finally:
        os.close(at)


def _check(cx: Context, bucket: str, action: str, key: str) -> None:
    try:
        cx.look(lambda inside: role_access.check(inside, bucket, action, key))
    except errors.AwsError as error:
        role = role_of(cx.caller.arn)
        raise ModelDataError(
            f'Could not access model data at s3://{bucket}/{key}. Please ensure that the role "{role}" exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
            f"located in {cx.region}."
        ) from error


def _copy(cx: Context, stored: StoredObject, path: Path, *, link: bool = False) -> None:
    try:
        cx.objects.copy_to(stored, path, link=link)
    except PermissionError as error:  # a customer's key encrypts it
        raise ModelDataError(str(error)) from error


def _copy_files(cx: Context, spec: ContainerSpec, bucket: str, prefix: str, check: Callable[[], None]) -> None:
    _check(cx, bucket, "s3:ListBucket", prefix)
    target = spec.directory / "ml" / "model"
    files = [s for s in cx.look(lambda inside: cx.objects.list_keys(inside, bucket, prefix)) if s.key[-1] != "/"]
    if not files:
        raise ModelDataError(_MISSING.format(number=spec.number, url=f"s3://{bucket}/{prefix}"))
    for stored in files:
        check()
        try:
            path = target / channels.relative_path(prefix, stored.key)
            _check(cx, bucket, "s3:GetObject", stored.key)
            bring(cx, stored, path, above=target.parent)
        except channels.DataError as error:
            raise ModelDataError(str(error)) from error


def wait_healthy(runner: Runner, handle: Handle, host: str, startup_s: float, check: Callable[[], None]) -> bool:
    """Ping until the container is healthy; False when it ends or the start-up window does. Real time."""
    deadline = time.monotonic() + startup_s
    while time.monotonic() < deadline:
        check()
        if runner.poll(handle) is not None:
            return False
        address = runner.address(handle, host, PORT)
        if address is not None and is_healthy(*address):
            return True
        time.sleep(PING_EVERY_S)
    return False


def is_healthy(host: str, port: int) -> bool:
    """Ask `GET /ping` once: 200 is healthy."""
    connection = http.client.HTTPConnection(host, port, timeout=PING_TIMEOUT_S)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


__all__ = ["ContainerSpec", "ModelDataError", "StartError", "deliver_model", "is_healthy", "start", "wait_healthy"]
