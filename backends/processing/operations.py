"""ProcessingJob's operations. Create checks what the model cannot; Describe, List, Stop and Delete are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.objects import parse_uri
from backends.core.operation import operation
from backends.jobs import artifacts
from backends.jobs.channels import DataError
from backends.processing.document import local_path, with_defaults
from backends.processing.status import PROCESSING_JOB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sagemaker.type_defs import (
        CreateProcessingJobRequestTypeDef,
    )

    from backends.core.context import Context

LATER = {
    "DatasetDefinition": "inputs from Athena and Redshift (DatasetDefinition)",
    "FeatureStoreOutput": "outputs to the Feature Store (FeatureStoreOutput)",
}


@operation("CreateProcessingJob")
def create_processing_job(cx: Context, request: CreateProcessingJobRequestTypeDef) -> dict[str, Any]:
    """Accept a processing job as InProgress; it runs from the event this writes.

    ValidationException for what cannot work (no bucket, a path elsewhere), ResourceInUse for a taken name.
    """
    PROCESSING_JOB.check_free(cx, request["ProcessingJobName"])
    inputs = request.get("ProcessingInputs", ())
    outputs = request["ProcessingOutputConfig"]["Outputs"] if "ProcessingOutputConfig" in request else ()
    _check_cluster(request["ProcessingResources"]["ClusterConfig"])
    _check_entries(inputs, "ProcessingInputs", "InputName", "S3Input")
    _check_entries(outputs, "ProcessingOutputConfig.Outputs", "OutputName", "S3Output")
    _check_inputs(inputs)
    for output in outputs:
        if not output.get("AppManaged"):
            uri = output["S3Output"]["S3Uri"].rstrip("/")
            artifacts.check_may_store(cx, request["RoleArn"], f"{uri}/", output["OutputName"])
    row = PROCESSING_JOB.insert(
        cx,
        request["ProcessingJobName"],
        with_defaults(request),
        status="InProgress",
        tag_list=request.get("Tags"),
    )
    return {"ProcessingJobArn": row.arn}


# Unverified, all of the sentences below: the guide says what is wrong, not in which words AWS says so.


def _check_cluster(cluster: Mapping[str, Any]) -> None:
    if cluster.get("InstancePreferences"):
        raise errors.not_implemented("a choice of instance types (InstancePreferences)")
    if "InstanceType" not in cluster or "InstanceCount" not in cluster:
        raise errors.validation("InstanceType and InstanceCount are required without InstancePreferences.")


def _check_entries(entries: Sequence[Mapping[str, Any]], where: str, name_member: str, source: str) -> None:
    """Check what holds for inputs as for outputs: names and places are there, and each is one entry's only."""
    paths: dict[str, str] = {}
    if len({entry[name_member] for entry in entries}) != len(entries):
        raise errors.validation(f"{name_member} must be unique within {where}.")
    for entry in entries:
        for member, what in LATER.items():
            if member in entry:
                raise errors.not_implemented(what)
        name = entry[name_member]
        if source not in entry:
            raise errors.validation(f"{where}: {source} is required for {name}.")
        if "LocalPath" not in entry[source]:
            if entry.get("AppManaged"):
                continue
            raise errors.validation(f"{where}: LocalPath is required for {name} unless AppManaged is true.")
        try:
            path = local_path(entry[source]["LocalPath"])
        except DataError as error:
            raise errors.validation(f"{where}: {error}.") from error
        if path in paths:  # aws/sagemaker-python-sdk 4939
            raise errors.validation(f"{where}: {paths[path]} and {name} have the same LocalPath.")
        paths[path] = name


def _check_inputs(inputs: Sequence[Mapping[str, Any]]) -> None:
    for entry in inputs:
        source = entry["S3Input"]
        parse_uri(source["S3Uri"])
        if source.get("S3CompressionType") == "Gzip" and source.get("S3InputMode") != "Pipe":
            raise errors.validation(f"ProcessingInputs: S3CompressionType Gzip of {entry['InputName']} needs Pipe.")
