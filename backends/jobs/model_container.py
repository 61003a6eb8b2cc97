"""One serving container: what makes a service a model server. Source: developer guide "Use your own inference code"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.instances import instance as instance_type
from backends.core.objects import parse_uri, role_access
from backends.core.policy.principals import role_of
from backends.jobs import archive, channels, places
from backends.jobs.opt_ml import bring, make_open
from backends.jobs.service import new_job
from backends.jobs.spec import HostSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.jobs.service import Service
    from backends.jobs.specify import ContainerRequest

PORT = 8080
DEFAULT_STARTUP_S = 240.0
HOST = "model"
RUN = "Containers"
"""Where a model that names model packages keeps, beside its document, the containers that are run."""
# Two sentences of AWS's, which numbers the containers of a model from 1; seen in users' reports.
_MISSING = (
    'Failed to download model data for container "container_{number}" from URL: "{url}". Please ensure that there is an '
    "object located at the URL and that the role passed to CreateModel has permissions to download the object."
)
_BROKEN = (
    'Failed to extract model data archive for container "container_{number}" from URL "{url}". Please ensure that the '
    "object located at the URL is a valid tar.gz archive."
)


class ModelDataError(Exception):
    """A model's artifact that cannot be delivered: AWS's sentence, and `detail`, which is for the container's log."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def described_model(cx: Context, name: str) -> dict[str, Any]:
    """Return a model's document, its Containers as they are run: model packages' own instead of their names. AwsError."""
    row = cx.kernel.resources["Model"].get(cx, name)
    shown = row.document
    written = [shown["PrimaryContainer"]] if "PrimaryContainer" in shown else shown["Containers"]
    return {**{k: v for k, v in shown.items() if k != "PrimaryContainer"}, "Containers": row.hidden.get(RUN, written)}


def instance_of(
    model: Mapping[str, Any], kind: str, environment: Mapping[str, str], instance_type_name: str
) -> dict[str, Any]:
    """Return the state of one instance of a described model: a name, and a record for each of its containers, none of which is started.

    `kind`: what the names of its jobs begin with. `environment`: variables of all containers besides the model's own.
    """
    definitions = model["Containers"]
    several = len(definitions) > 1
    return {
        "id": new_job("i"),
        "type": instance_type_name,
        "role": model.get("ExecutionRoleArn", ""),
        "isolated": model.get("EnableNetworkIsolation", False),
        "containers": [
            {
                "job": new_job(kind),
                "number": index,
                "name": definition.get("ContainerHostname", f"container-{index}") if several else "primary",
                "host": definition.get("ContainerHostname", HOST),
                "definition": {**definition, "Environment": {**definition.get("Environment", {}), **environment}},
                "runner": "",
            }
            for index, definition in enumerate(definitions, 1)
        ],
    }


def start(service: Service, instance: dict[str, Any], check: Callable[[], None]) -> None:
    """Lay out the model of a container of an instance and start it. StartError or ModelDataError when it cannot."""
    container = service.record["definition"]
    wanted = places.Wanted(container["Image"], "serve", cuda=bool(instance["gpus"]))
    place = places.find(service.run.kernel, wanted, service.log, check)

    def lay_out() -> ContainerRequest:
        data = ModelData(
            role_access.as_role(service.run.cx, instance["role"]),
            container,
            service.directory / "ml" / "model",
            service.record.get("number", 1),
            instance.get("volume_bytes"),
            check,
        )
        make_open(data.target, above=service.directory)
        try:
            data.deliver()
        except ModelDataError as error:
            if error.detail:
                service.log(f"LocalMaker: the model data archive cannot be extracted: {error.detail}")
            raise
        return service.request(
            HostSpec(service.record["host"], data.target.parent),
            instance_type(instance["type"]),
            image=container["Image"],
            role=instance["role"],
            isolated=instance["isolated"],
            environment=container.get("Environment", {}),
            gpus=tuple(instance["gpus"]),
            volume_bytes=data.volume_bytes,
            ports=(PORT,),
        )

    service.start(place, lay_out)


@dataclass(frozen=True)
class ModelData:
    """A container's artifact and where it expects it. `container`: a ContainerDefinition, the model's `number`th."""

    cx: Context
    container: dict[str, Any]
    target: Path
    number: int
    volume_bytes: int | None
    check: Callable[[], None]

    def deliver(self) -> None:
        """Put the artifact there: unpacked, or file by file when it is not compressed."""
        source = self.container.get("ModelDataSource", {}).get("S3DataSource")
        url = self.container.get("ModelDataUrl") or (source or {}).get("S3Uri")
        if not url:
            return
        bucket, key = parse_uri(url)
        if source is not None and source["CompressionType"] == "None":
            self._copy_files(bucket, key)
            return
        self._authorize(bucket, "s3:GetObject", key)
        stored = self.cx.look(lambda inside: inside.objects.head(inside, bucket, key))
        if stored is None:
            raise self._missing(url)
        packed = self.target.parent.parent / "model.tar.gz"
        try:
            self.cx.objects.copy_to(stored, packed, link=True)
            archive.unpack_file(packed, self.target, self.volume_bytes, self.check)
        except FileNotFoundError as error:  # deleted since
            raise self._missing(url) from error
        except PermissionError as error:  # a customer's key encrypts it
            raise ModelDataError(str(error)) from error
        except archive.ArchiveError as error:
            raise ModelDataError(_BROKEN.format(number=self.number, url=url), str(error)) from error
        finally:
            packed.unlink(missing_ok=True)

    def _missing(self, url: str) -> ModelDataError:
        return ModelDataError(_MISSING.format(number=self.number, url=url))

    def _authorize(self, bucket: str, action: str, key: str) -> None:
        try:
            self.cx.look(lambda inside: role_access.check(inside, bucket, action, key))
        except errors.AwsError as error:
            role = role_of(self.cx.caller.arn)
            raise ModelDataError(
                f'Could not access model data at s3://{bucket}/{key}. Please ensure that the role "{role}" exists and that '
                'its trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
                f"is located in {self.cx.region}."
            ) from error

    def _copy_files(self, bucket: str, prefix: str) -> None:
        self._authorize(bucket, "s3:ListBucket", prefix)
        listed = self.cx.look(lambda inside: list(inside.objects.list_keys(inside, bucket, prefix)))
        files = [stored for stored in listed if stored.key[-1] != "/"]
        if not files:
            raise self._missing(f"s3://{bucket}/{prefix}")
        for stored in files:
            self.check()
            try:
                path = self.target / channels.relative_path(prefix, stored.key)
                self._authorize(bucket, "s3:GetObject", stored.key)
                bring(self.cx, stored, path, above=self.target.parent)
            except channels.DataError as error:
                raise ModelDataError(str(error)) from error
