"""Pipelines for the tests: definitions from steps, and executions to their end."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from tests.site import INFERENCE, SCIKIT_LEARN

if TYPE_CHECKING:
    from tests.site import Site

WAIT_S = 120.0


def definition(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return a definition of steps."""
    return {"Version": "2020-12-01", "Parameters": parameters or [], "Steps": list(steps), **more}


def step(name: str, kind: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a step."""
    return {"Name": name, "Type": kind, "Arguments": arguments, **more}


def model(site: Site, name: str, environment: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a Model step: it makes something that is there at once."""
    container = {"Image": INFERENCE, "Environment": environment or {}}
    return step(name, "Model", {"PrimaryContainer": container, "ExecutionRoleArn": site.role}, **more)


def processing(site: Site, name: str, code: str, outputs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return a Processing step that runs Python code; each output is a folder below /opt/ml/processing/out."""
    uri = site.upload({"job.py": code})
    arguments = {
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
        "AppSpecification": {"ImageUri": SCIKIT_LEARN, "ContainerEntrypoint": ["python3", "-u", "/opt/ml/processing/input/code/job.py"]},
        "RoleArn": site.role,
        "ProcessingInputs": [
            {"InputName": "code", "S3Input": {
                "S3Uri": uri, "LocalPath": "/opt/ml/processing/input/code", "S3DataType": "S3Prefix", "S3InputMode": "File",
            }},
            *more.pop("inputs", ()),
        ],
        "ProcessingOutputConfig": {"Outputs": [
            {"OutputName": each, "S3Output": {
                "S3Uri": f"s3://{site.bucket}/{name}/{each}", "LocalPath": f"/opt/ml/processing/out/{each}", "S3UploadMode": "EndOfJob",
            }}
            for each in outputs
        ]},
        **more.pop("arguments", {}),
    }  # fmt: skip
    return step(name, "Processing", arguments, **more)


def create(site: Site, document: dict[str, Any], **more: Any) -> str:
    """Create a pipeline; give its name."""
    name = f"pipeline-{uuid.uuid4().hex[:8]}"
    site.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(document), RoleArn=site.role, **more
    )
    return name


def start(site: Site, pipeline: str, **more: Any) -> str:
    """Start an execution; give its ARN. Parameters are given by name."""
    parameters = [{"Name": k, "Value": str(v)} for k, v in more.pop("parameters", {}).items()]
    given = {"PipelineParameters": parameters} if parameters else {}
    arn: str = site.sagemaker.start_pipeline_execution(PipelineName=pipeline, **given, **more)["PipelineExecutionArn"]
    return arn


def ended(site: Site, arn: str) -> str:
    """Wait for an execution's end; give its status."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        status: str = site.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
        if status not in {"Executing", "Stopping"}:
            return status
        time.sleep(0.05)
    raise AssertionError(f"{arn} did not end: {steps(site, arn)}")


def run(site: Site, document: dict[str, Any], **more: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    """Create a pipeline, execute it to its end; give the status and the steps by name."""
    arn = start(site, create(site, document), **more)
    return ended(site, arn), steps(site, arn)


def steps(site: Site, arn: str) -> dict[str, dict[str, Any]]:
    """Return the steps of an execution by their names, in the order they began."""
    pages = site.sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return {each["StepName"]: each for page in pages for each in page["PipelineExecutionSteps"]}
