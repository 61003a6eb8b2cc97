"""From a training job's document to what its hosts are given: decisions only, nothing is started or written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core.instances import Instance, instance
from backends.jobs import channels, images, opt_ml
from backends.jobs.logs import Destination, compile_metrics
from backends.jobs.opt_ml import HostPlan
from backends.jobs.slots import ResourceRequest
from backends.jobs.spec import QUIET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backends.core.resource import Row

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
STOP_GRACE_S = 120.0
DEFAULT_CHECKPOINTS = "/opt/ml/checkpoints"


@dataclass(frozen=True)
class TrainingPlan:
    """What a document asks for, with defaults filled in. Times are seconds."""

    name: str
    hosts: tuple[HostPlan, ...]
    instances: tuple[Instance, ...]
    channels: tuple[channels.Channel, ...]
    hyperparameters: dict[str, str]
    environment: dict[str, str]
    image: str
    entrypoint: tuple[str, ...] | None
    arguments: tuple[str, ...]
    isolated: bool
    max_runtime_s: float
    max_wait_s: float | None
    max_pending_s: float | None
    attempts: int
    checkpoint_uri: str | None
    checkpoint_path: str
    output_uri: str | None
    compressed: bool
    volume_bytes: int | None

    def resource_request(self, *, use_gpus: bool) -> ResourceRequest:
        """Return what the job needs of this machine."""
        return ResourceRequest(len(self.hosts), sum(one.gpus for one in self.instances) if use_gpus else 0)


def plan_of(document: dict[str, Any]) -> TrainingPlan:
    """Read a training job's document."""
    algorithm, limits = document["AlgorithmSpecification"], document["StoppingCondition"]
    hosts = hosts_of(document["ResourceConfig"])
    checkpoints, output = document.get("CheckpointConfig", {}), document.get("OutputDataConfig", {})
    return TrainingPlan(
        name=document["TrainingJobName"],
        hosts=hosts,
        instances=tuple(instance(host.instance_type) for host in hosts),
        channels=tuple(
            channels.channel_of(entry, algorithm["TrainingInputMode"]) for entry in document.get("InputDataConfig", ())
        ),
        hyperparameters=document.get("HyperParameters", {}),
        environment=document.get("Environment", {}),
        image=algorithm["TrainingImage"],
        entrypoint=tuple(algorithm["ContainerEntrypoint"]) if "ContainerEntrypoint" in algorithm else None,
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        isolated=document.get("EnableNetworkIsolation", False),
        max_runtime_s=limits["MaxRuntimeInSeconds"],
        max_wait_s=limits.get("MaxWaitTimeInSeconds"),
        max_pending_s=limits.get("MaxPendingTimeInSeconds"),
        attempts=document.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        checkpoint_uri=checkpoints.get("S3Uri"),
        checkpoint_path=checkpoints.get("LocalPath", DEFAULT_CHECKPOINTS).rstrip("/"),
        output_uri=output.get("S3OutputPath"),
        compressed=output.get("CompressionType", "GZIP") == "GZIP",
        volume_bytes=(gb := document["ResourceConfig"].get("VolumeSizeInGB")) and gb << 30,
    )


def hosts_of(resources: dict[str, Any]) -> tuple[HostPlan, ...]:
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
    return tuple(HostPlan(f"algo-{n}", kind, group) for n, (kind, group) in enumerate(types, 1))


def destination_of(row: Row) -> Destination:
    """Return where the job's lines and metrics go. The streams carry the second of creation, as AWS's do."""
    document = row.document
    epoch = int(row.created)
    streams = {host.name: f"{row.key}/{host.name}-{epoch}" for host in hosts_of(document["ResourceConfig"])}
    return Destination(
        LOG_GROUP,
        streams,
        compile_metrics(document["AlgorithmSpecification"].get("MetricDefinitions", [])),
        LOG_GROUP,
        {"TrainingJobName": row.key},
    )


def model_uri(plan: TrainingPlan) -> str | None:
    """Return where the model goes: `<S3OutputPath>/<job>/output/model.tar.gz`, or a prefix when uncompressed."""
    if plan.output_uri is None:
        return None
    base = f"{plan.output_uri.rstrip('/')}/{plan.name}/output"
    return f"{base}/model.tar.gz" if plan.compressed else f"{base}/model/"


def job_environment(
    plan: TrainingPlan, arn: str, region: str, access: Mapping[str, str], gpus: int = 0
) -> dict[str, str]:
    """Return the variables of every host: the service's own, the way back to this server, then the request's."""
    return {
        **QUIET,
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": opt_ml.SDK_DEFAULTS,
        **({"LOCALMAKER_REQUIRED_GPUS": str(gpus)} if gpus else {}),
        "LOCALMAKER_IMAGE_TAG": images.tag_of(plan.image),
        "TRAINING_JOB_NAME": plan.name,
        "TRAINING_JOB_ARN": arn,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **access,
        **plan.environment,
    }


def job_directory(data_dir: Path, job_id: str, attempt: int) -> Path:
    """Return the directory of one attempt of a job."""
    return data_dir / "jobs" / job_id / f"attempt-{attempt}"
