"""TrainingJob's operations. Create checks what the model cannot; Describe is derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.lifecycle import transition
from backends.core.objects import role_access
from backends.core.operation import operation
from backends.jobs import artifacts, channels, checkpoints, opt_ml
from backends.jobs.logs import compile_metrics
from backends.training import algorithm, package
from backends.training.algorithm_metrics import definitions_of
from backends.training.status import TRAINING_JOB, with_secondary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sagemaker.type_defs import (
        CreateTrainingJobRequestTypeDef,
        DeleteTrainingJobRequestTypeDef,
        StopTrainingJobRequestTypeDef,
        UpdateTrainingJobRequestTypeDef,
    )

    from backends.core.context import Context

# What later issues bring; each would change what a job does or reports, so accepting it would be a pretence.
LATER = {
    "DebugRuleConfigurations": "Debugger rules",
    "ProfilerRuleConfigurations": "Profiler rules",
    "ServerlessJobConfig": "serverless training jobs",
    "InfraCheckConfig": "infrastructure checks",
}
MODES = {"AugmentedManifestFile": {"Pipe"}, "ManifestFile": {"File", "Pipe"}, "S3Prefix": {"File", "Pipe", "FastFile"}}
DEFAULT_MAX_RUNTIME_S = 86400


@operation("CreateTrainingJob")
def create_training_job(cx: Context, request: CreateTrainingJobRequestTypeDef) -> dict[str, Any]:
    """Accept a training job as InProgress/Starting; it runs from the event this writes.

    ValidationException for what cannot work (no data, no bucket, a bad regex), ResourceInUse for a taken name.
    """
    TRAINING_JOB.check_free(cx, request["TrainingJobName"])
    _check_later(request)
    _check_algorithm(request["AlgorithmSpecification"])
    members, image = algorithm.resolve(cx, request)
    _check_resources(members["ResourceConfig"])
    _check_limits(members)
    opened = _session(cx, request)
    _check_channels(cx, members, opened.get("tags"))
    _check_output(cx, members, opened.get("tags"))
    if "ModelPackageConfig" in members:
        package.check(cx, members)
    document = with_secondary(_with_defaults(members), "Starting", cx.clock.now())
    row = TRAINING_JOB.insert(
        cx,
        request["TrainingJobName"],
        document,
        status="InProgress",
        hidden={name: value for name, value in (("image", image), ("opened", opened)) if value},
        tag_list=request.get("Tags"),
    )
    return {"TrainingJobArn": row.arn}


@operation("StopTrainingJob")
def stop_training_job(cx: Context, request: StopTrainingJobRequestTypeDef) -> dict[str, Any]:
    """Ask a job to stop: SIGTERM, 120 s of grace, then SIGKILL; its artifacts are kept."""
    row = TRAINING_JOB.get(cx, request["TrainingJobName"])
    if row.status == "Stopping":
        return {}
    if row.status != "InProgress":
        raise errors.validation(
            f"The request was rejected because the training job is in status {row.status}."
        )  # Unverified: AWS's wording
    changed = with_secondary(row.document, "Stopping", cx.clock.now())
    kept = {name: changed[name] for name in ("SecondaryStatus", "SecondaryStatusTransitions")}
    transition(cx, TRAINING_JOB, row, "Stopping", **kept)
    return {}


@operation("UpdateTrainingJob")
def update_training_job(cx: Context, request: UpdateTrainingJobRequestTypeDef) -> dict[str, Any]:
    """Change what may be changed while a job runs: the profiler's configuration and remote debugging."""
    row = TRAINING_JOB.get(cx, request["TrainingJobName"])
    if request.get("ProfilerRuleConfigurations"):
        raise errors.not_implemented(LATER["ProfilerRuleConfigurations"])
    if request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"):
        raise errors.not_implemented("warm pools (KeepAlivePeriodInSeconds)")
    if row.status != "InProgress":
        raise errors.validation(f"The training job {row.key} is in status {row.status} and cannot be updated.")
    document = dict(row.document)
    for name in ("ProfilerConfig", "RemoteDebugConfig"):
        if name in request:
            document[name] = {**document.get(name, {}), **request[name]}
    TRAINING_JOB.update(cx, row, document)
    return {"TrainingJobArn": row.arn}


@operation("DeleteTrainingJob")
def delete_training_job(cx: Context, request: DeleteTrainingJobRequestTypeDef) -> dict[str, Any]:
    """Delete a job that has ended. ResourceInUse while it runs; what it put into S3 stays."""
    row = TRAINING_JOB.get(cx, request["TrainingJobName"])
    if row.status in {"InProgress", "Stopping"}:
        raise errors.in_use(f"The training job {row.arn} is in status {row.status} and cannot be deleted.")
    TRAINING_JOB.delete(cx, row)
    return {}


def _with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the defaults that Describe shows."""
    document = {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **request,
    }
    document["StoppingCondition"] = {
        "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **request.get("StoppingCondition", {})
    }  # fmt: skip
    document["AlgorithmSpecification"] = {
        "EnableSageMakerMetricsTimeSeries": False, **request["AlgorithmSpecification"]
    }  # fmt: skip
    if not document["AlgorithmSpecification"].get("MetricDefinitions") and (own := definitions_of(request)):
        document["AlgorithmSpecification"]["MetricDefinitions"] = own
    if "InputDataConfig" in request:
        document["InputDataConfig"] = [
            {"CompressionType": "None", "RecordWrapperType": "None", **entry} for entry in request["InputDataConfig"]
        ]
    if "OutputDataConfig" in request:
        document["OutputDataConfig"] = {"KmsKeyId": "", "CompressionType": "GZIP", **request["OutputDataConfig"]}
    return document


def _session(cx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags that the session of the job's role is opened with: those of who makes the job, where he chains them.

    Source: guide, "Use attribute-based access control (ABAC) for multi-tenancy training" (2026-11). Unverified: that who has
    none makes a job whose session has none.
    """
    is_chained = request.get("SessionChainingConfig", {}).get("EnableSessionTagChaining", False)
    return role_access.chained(cx) if is_chained else {}


def _check_later(request: Mapping[str, Any]) -> None:
    for member, what in LATER.items():
        if request.get(member):
            raise errors.not_implemented(what)
    for member in ("AlgorithmSpecification", "ResourceConfig"):
        if member not in request:  # what does without, such as serverless training, was refused above
            # Unverified: AWS's wording; the model no longer requires them.
            raise errors.validation(f"{member} is required unless ServerlessJobConfig is specified.")
    resources = request["ResourceConfig"]
    if resources.get("KeepAlivePeriodInSeconds"):
        raise errors.not_implemented("warm pools (KeepAlivePeriodInSeconds)")
    if resources.get("TrainingPlanArn"):
        raise errors.not_implemented("training plans")


def _check_algorithm(specification: Mapping[str, Any]) -> None:
    if ("TrainingImage" in specification) == ("AlgorithmName" in specification):
        raise errors.validation("Exactly one of TrainingImage and AlgorithmName must be given.")
    definitions = specification.get("MetricDefinitions", [])
    try:
        compile_metrics(definitions)
    except ValueError as error:
        raise errors.validation(f"A MetricDefinitions regex does not compile: {error}") from error
    if len({entry["Name"] for entry in definitions}) != len(definitions):
        raise errors.validation("Metric names in MetricDefinitions must be unique.")


def _check_resources(resources: Mapping[str, Any]) -> None:
    if resources.get("InstanceGroups"):
        if "InstanceType" in resources or "InstanceCount" in resources:
            raise errors.validation("InstanceType or InstanceCount cannot be specified with InstanceGroups")
        names = [group.get("InstanceGroupName", "") for group in resources["InstanceGroups"]]
        if len(set(names)) != len(names):
            raise errors.validation("InstanceGroupName must be unique within InstanceGroups.")
    elif "InstanceType" not in resources or "InstanceCount" not in resources:
        raise errors.validation("InstanceType and InstanceCount are required without InstanceGroups.")
    counts = [group["InstanceCount"] for group in resources.get("InstanceGroups") or [resources]]
    if min(counts) < 1:
        raise errors.validation("InstanceCount must be at least 1.")


def _check_limits(request: Mapping[str, Any]) -> None:
    limits = request.get("StoppingCondition", {})
    runtime, wait = limits.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S), limits.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining") and wait is None:
        raise errors.validation("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true.")
    if wait is not None and not request.get("EnableManagedSpotTraining"):
        raise errors.validation("MaxWaitTimeInSeconds can only be given when EnableManagedSpotTraining is true.")
    if wait is not None and wait < runtime:
        raise errors.validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def _check_channels(cx: Context, request: Mapping[str, Any], tags: Mapping[str, str] | None) -> None:
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    named = [channels.channel_of(entry, mode) for entry in request.get("InputDataConfig", ())]
    if len({channel.name for channel in named}) != len(named):
        raise errors.validation("Channel names in InputDataConfig must be unique.")
    groups = {group["InstanceGroupName"] for group in request["ResourceConfig"].get("InstanceGroups", ())}
    for channel in named:
        _check_channel(channel, groups)
        channels.check_exists(cx, channel, request["RoleArn"], tags)


def _check_channel(channel: channels.Channel, groups: set[str]) -> None:
    if channel.file_system is not None:
        if channel.mode != "File":
            raise errors.validation(f"Channel {channel.name}: a file system data source needs input mode File.")
        return
    if not channel.uri:
        raise errors.validation(f"Channel {channel.name}: S3DataSource or FileSystemDataSource is required.")
    if channel.data_type not in MODES:
        raise errors.not_implemented(f"S3DataType {channel.data_type}")
    if channel.mode not in MODES[channel.data_type]:
        raise errors.validation(
            f"Channel {channel.name}: S3DataType {channel.data_type} cannot be used with input mode {channel.mode}."
        )
    if channel.compression == "Gzip" and channel.mode != "Pipe":
        raise errors.validation(f"Channel {channel.name}: CompressionType Gzip needs input mode Pipe.")
    if channel.data_type == "AugmentedManifestFile" and not channel.attributes:
        raise errors.validation(f"Channel {channel.name}: AttributeNames is required with AugmentedManifestFile.")
    if unknown := set(channel.groups) - groups:
        raise errors.validation(f"Channel {channel.name}: no instance group is named {', '.join(sorted(unknown))}.")


def _check_local_path(path: str) -> None:
    """Refuse a checkpoint directory that would not stay where it is mounted."""
    try:
        opt_ml.local_path(path, checkpoints.WHAT)
    except channels.DataError as error:
        raise errors.validation(f"CheckpointConfig.LocalPath: {error}.") from error


def _check_output(cx: Context, request: Mapping[str, Any], tags: Mapping[str, str] | None) -> None:
    places = {"OutputDataConfig": request.get("OutputDataConfig", {}).get("S3OutputPath")}
    places["CheckpointConfig"] = request.get("CheckpointConfig", {}).get("S3Uri")
    for member, uri in places.items():
        if uri is None:
            continue
        place = f"{uri.rstrip('/')}/{request['TrainingJobName']}"
        artifacts.check_may_store(cx, request["RoleArn"], place, member, tags)
    _check_local_path(request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints"))
