"""What a processing job's document asks for: decisions only, nothing is started or written here.

Source: shapes ProcessingInput and ProcessingOutput; developer guide "How Amazon SageMaker Processing Configures Input and
Output For Your Processing Container" and "... Runs Your Processing Container" (2026-11).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.jobs import opt_ml
from backends.jobs.channels import Channel, DataError
from backends.jobs.container_kind import ContainerSpec
from backends.jobs.opt_ml import Host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
ROOT = "/opt/ml/processing"
DEFAULT_MAX_RUNTIME_S = 86400
MESSAGE_BYTES = 1024
S3_INPUT = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}


@dataclass(frozen=True)
class Output:
    """One output that is uploaded to S3. `path`: its directory below /opt/ml."""

    path: str
    uri: str
    is_continuous: bool


def with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the defaults that Describe shows."""
    document = {"StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S}, **request}
    if "ProcessingInputs" in request:
        document["ProcessingInputs"] = [
            {"AppManaged": False, **entry, "S3Input": {**S3_INPUT, **entry["S3Input"]}}
            for entry in request["ProcessingInputs"]
        ]
    if "ProcessingOutputConfig" in request:
        outputs = [{"AppManaged": False, **entry} for entry in request["ProcessingOutputConfig"]["Outputs"]]
        document["ProcessingOutputConfig"] = {**request["ProcessingOutputConfig"], "Outputs": outputs}
    return document


def local_path(path: str) -> str:
    """Return a LocalPath as a path below /opt/ml. DataError for one that is not below /opt/ml/processing."""
    whole = opt_ml.local_path(path, "LocalPath")
    if not f"{whole}/".startswith(f"{ROOT}/"):
        raise DataError(f"the LocalPath {path!r} does not begin with {ROOT}/")
    return whole.removeprefix(opt_ml.OPT_ML)


def inputs_of(document: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Return the inputs that are brought into the container."""
    entries = document.get("ProcessingInputs", ())
    return tuple(_channel(entry) for entry in entries if not entry.get("AppManaged"))


def _channel(entry: Mapping[str, Any]) -> Channel:
    source = entry["S3Input"]
    return Channel(
        name=entry["InputName"],
        mode=source["S3InputMode"],
        content_type=None,
        compression=source["S3CompressionType"],
        record_wrapper="None",
        shuffle_seed=None,
        uri=source["S3Uri"],
        data_type=source["S3DataType"],
        distribution=source["S3DataDistributionType"],
        attributes=(),
        groups=(),
        file_system=None,
        path=local_path(source["LocalPath"]),
    )


def outputs_of(document: Mapping[str, Any]) -> tuple[Output, ...]:
    """Return the outputs that are uploaded."""
    entries = [
        each for each in document.get("ProcessingOutputConfig", {}).get("Outputs", ()) if not each.get("AppManaged")
    ]
    targets = [entry["S3Output"] for entry in entries]
    return tuple(Output(local_path(t["LocalPath"]), t["S3Uri"], t["S3UploadMode"] == "Continuous") for t in targets)


def hosts_of(document: Mapping[str, Any]) -> tuple[Host, ...]:
    """Name the hosts `algo-1`..."""
    cluster = document["ProcessingResources"]["ClusterConfig"]
    return tuple(Host(f"algo-{n}", cluster["InstanceType"]) for n in range(1, cluster["InstanceCount"] + 1))


def container_spec(document: Mapping[str, Any]) -> ContainerSpec:
    """Read what the containers are."""
    application = document["AppSpecification"]
    return ContainerSpec(
        name=document["ProcessingJobName"],
        role=document["RoleArn"],
        hosts=hosts_of(document),
        image=application["ImageUri"],
        mode="",
        entrypoint=tuple(application["ContainerEntrypoint"]) if "ContainerEntrypoint" in application else None,
        arguments=tuple(application.get("ContainerArguments", ())),
        isolated=document.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
        volume_bytes=document["ProcessingResources"]["ClusterConfig"]["VolumeSizeInGB"] << 30,
        max_runtime_s=document["StoppingCondition"]["MaxRuntimeInSeconds"],
    )


def variables(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of every host: the service's own, then the request's."""
    return {
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": f"/opt/ml/config/{opt_ml.SDK_DEFAULTS}",
        "PROCESSING_JOB_NAME": document["ProcessingJobName"],  # Unverified, as the next: named after training's
        "PROCESSING_JOB_ARN": document["ProcessingJobArn"],
        **document.get("Environment", {}),
    }


def config_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return processingjobconfig.json: the request with null for what it left out."""
    application, cluster = document["AppSpecification"], document["ProcessingResources"]["ClusterConfig"]
    output = document.get("ProcessingOutputConfig", {"Outputs": []})
    return {
        "ProcessingJobArn": document["ProcessingJobArn"],
        "ProcessingJobName": document["ProcessingJobName"],
        "AppSpecification": {"ContainerEntrypoint": None, "ContainerArguments": None, **application},
        "Environment": document.get("Environment", {}),
        "ProcessingInputs": [
            {**entry, "S3Input": {**entry["S3Input"], "S3DownloadMode": "StartOfJob"}}
            for entry in document.get("ProcessingInputs", ())
        ],
        "ProcessingOutputConfig": {"KmsKeyId": None, **output},
        "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": None, **cluster}},
        "RoleArn": document["RoleArn"],
        "StoppingCondition": document["StoppingCondition"],
    }


def exit_message(messages: Iterable[bytes]) -> str:
    """Return the ExitMessage of what the hosts wrote, each with at least MESSAGE_BYTES + 1 bytes where it has so many.

    UnicodeDecodeError for one whose first kilobyte is no UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")
    parts = (decoder().decode(each[:MESSAGE_BYTES], final=len(each) <= MESSAGE_BYTES) for each in messages)
    return "".join(parts).encode()[:MESSAGE_BYTES].decode("utf-8", "ignore")
