"""What a training job's document asks for, with defaults filled in: decisions only, nothing is started or written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.jobs import channels, opt_ml
from backends.jobs.container_kind import ContainerSpec
from backends.jobs.logs import Destination, compile_metrics
from backends.jobs.opt_ml import Host, streams_of
from backends.jobs.verdict import fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.rows import Row

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
DEFAULT_CHECKPOINTS = "/opt/ml/checkpoints"
DIRECTORIES = ("input/data", "model", "output/data", "code", "checkpoints")
# What a container may say itself: our recipes check the user's configuration as the service does.
OWN_CLASSES = ("ClientError: ", "CapacityError: ")


@dataclass(frozen=True)
class TrainingSpec:
    """What is training's own; the container's part is a ContainerSpec."""

    channels: tuple[channels.Channel, ...]
    hyperparameters: dict[str, str]
    environment: dict[str, str]
    checkpoint_uri: str | None
    checkpoint_path: str
    output_uri: str | None
    compressed: bool


def training_spec(document: Mapping[str, Any]) -> TrainingSpec:
    """Read what is training's own."""
    algorithm = document["AlgorithmSpecification"]
    checkpoints, output = document.get("CheckpointConfig", {}), document.get("OutputDataConfig", {})
    return TrainingSpec(
        channels=tuple(
            channels.channel_of(entry, algorithm["TrainingInputMode"]) for entry in document.get("InputDataConfig", ())
        ),
        hyperparameters=document.get("HyperParameters", {}),
        environment=document.get("Environment", {}),
        checkpoint_uri=checkpoints.get("S3Uri"),
        checkpoint_path=checkpoints.get("LocalPath", DEFAULT_CHECKPOINTS).rstrip("/"),
        output_uri=output.get("S3OutputPath"),
        compressed=output.get("CompressionType", "GZIP") == "GZIP",
    )


def container_spec(document: Mapping[str, Any], hidden: Mapping[str, Any]) -> ContainerSpec:
    """Read what the containers are. `hidden`: the image of the algorithm that the document names, what its session is opened with."""
    algorithm, limits = document["AlgorithmSpecification"], document["StoppingCondition"]
    return ContainerSpec(
        name=document["TrainingJobName"],
        role=document["RoleArn"],
        hosts=hosts_of(document["ResourceConfig"]),
        image=hidden.get("image") or algorithm["TrainingImage"],
        mode="train",
        entrypoint=tuple(algorithm["ContainerEntrypoint"]) if "ContainerEntrypoint" in algorithm else None,
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        isolated=document.get("EnableNetworkIsolation", False),
        volume_bytes=(gb := document["ResourceConfig"].get("VolumeSizeInGB")) and gb << 30,
        max_runtime_s=limits["MaxRuntimeInSeconds"],
        max_wait_s=limits.get("MaxWaitTimeInSeconds"),
        max_pending_s=limits.get("MaxPendingTimeInSeconds"),
        attempts=document.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        opened=hidden.get("opened", {}),
    )


def config_of(spec: TrainingSpec) -> dict[str, Any]:
    """Return the configuration files of every host, by name."""
    return {
        "hyperparameters.json": spec.hyperparameters,
        "inputdataconfig.json": {channel.name: _channel_config(channel) for channel in spec.channels},
    }


def _channel_config(channel: channels.Channel) -> dict[str, Any]:
    config: dict[str, Any] = {} if channel.content_type is None else {"ContentType": channel.content_type}
    return config | {
        "TrainingInputMode": channel.mode,
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": channel.record_wrapper,
    }


def hosts_of(resources: Mapping[str, Any]) -> tuple[Host, ...]:
    """Name the hosts `algo-1`... in the order of the instance groups."""
    groups = resources.get("InstanceGroups") or [
        {
            "InstanceGroupName": "homogeneousCluster",
            "InstanceType": resources["InstanceType"],
            "InstanceCount": resources["InstanceCount"],
        }
    ]
    types = [
        (group["InstanceType"], group["InstanceGroupName"]) for group in groups for _ in range(group["InstanceCount"])
    ]
    return tuple(Host(f"algo-{n}", kind, group) for n, (kind, group) in enumerate(types, 1))


def destination_of(row: Row) -> Destination:
    """Return where the job's lines and metrics go."""
    document = row.document
    return Destination(
        LOG_GROUP,
        streams_of(row, hosts_of(document["ResourceConfig"])),
        compile_metrics(document["AlgorithmSpecification"].get("MetricDefinitions", [])),
        LOG_GROUP,
        {"TrainingJobName": row.key},
    )


def output_base(spec: TrainingSpec, name: str) -> str | None:
    """Return `<S3OutputPath>/<job>/output`, below which `model.tar.gz` and `output.tar.gz` go; None without a path."""
    return None if spec.output_uri is None else f"{spec.output_uri.rstrip('/')}/{name}/output"


def variables(spec: TrainingSpec, name: str, arn: str) -> dict[str, str]:
    """Return the variables of every host: the service's own, then the request's."""
    return {
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": f"/opt/ml/input/config/{opt_ml.SDK_DEFAULTS}",
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": arn,
        **spec.environment,
    }


def failure_reason(text: str, code: int, *, is_out_of_memory: bool = False) -> str:
    """Word the reason of a container that failed: what it wrote to /opt/ml/output/failure, and its exit code."""
    text = text or ("Out of memory: the container was killed" if is_out_of_memory else "")
    return fitted(text if text.startswith(OWN_CLASSES) else f"AlgorithmError: {text}", f", exit code: {code}")
