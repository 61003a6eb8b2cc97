"""What the flow of the typed resources is given: every kind with its smallest requests, and the nouns that there are none of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from api_specs import model
from api_specs.ledger import ledger
from tests.life.kind import ROLE, Kind, kinds, parents_first
from tests.life.sample import sample

if TYPE_CHECKING:
    from pathlib import Path

ENDS = {"MaxRuntimeInSeconds": 60}
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
IMAGE = "localmaker/scikit_learn"
JOBS = (
    Kind(
        "TrainingJob",
        request=lambda name, _: {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["true"],
            },
            "OutputDataConfig": {"S3OutputPath": "s3://$Bucket/training"},
            "ResourceConfig": CLUSTER,
            "RoleArn": ROLE,
            "StoppingCondition": ENDS,
        },
    ),
    Kind(
        "ProcessingJob",
        request=lambda name, _: {
            "ProcessingJobName": name,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
            "ProcessingResources": {"ClusterConfig": CLUSTER},
            "RoleArn": ROLE,
        },
    ),
    Kind(
        "CompilationJob",
        request=lambda name, _: {
            "CompilationJobName": name,
            "InputConfig": {"S3Uri": "s3://$Bucket/none.tar.gz", "Framework": "XGBOOST"},
            "OutputConfig": {"S3OutputLocation": "s3://$Bucket/compiled", "TargetDevice": "ml_c5"},
            "RoleArn": ROLE,
            "StoppingCondition": ENDS,
        },
    ),
    Kind(
        "ModelCardExportJob",
        parent="ModelCard",
        request=lambda name, card: {
            **card,
            "ModelCardExportJobName": name,
            "OutputConfig": {"S3OutputPath": "s3://$Bucket/cards"},
        },
        listing=dict,
    ),
    Kind("Endpoint", parent="EndpointConfig", request=lambda name, config: {"EndpointName": name, **config}),
)
"""Kinds with a life of their own elsewhere; here each is made, and ends as it will."""

CONTENT = {"HubContentName": "content", "HubContentType": "Model", "HubName": "$HubName"}
DEVICE = {"DeviceName": "device", "DeviceFleetName": "$DeviceFleetName"}
BETWEEN = {"SourceArn": "$ArtifactArn", "DestinationArn": "$ActionArn"}
OTHERS: tuple[dict[str, Any], ...] = (
    {"noun": "HubContent", "by": "ImportHubContent", "create": CONTENT | {
        "DocumentSchemaVersion": "2.0.0", "HubContentDocument": '{"Url": "u"}'},
     "get": CONTENT, "update": CONTENT | {"HubContentVersion": "1.0.0", "HubContentDescription": "d"}},
    {"noun": "Device", "by": "RegisterDevices", "list": "ListDevices", "listing": {},
     "create": {"DeviceFleetName": "$DeviceFleetName", "Devices": [{"DeviceName": "device"}]}, "get": DEVICE,
     "undo": ["DeregisterDevices", {"DeviceFleetName": "$DeviceFleetName", "DeviceNames": ["device"]}]},
    {"noun": "Association", "by": "AddAssociation", "create": BETWEEN, "list": "ListAssociations", "listing": BETWEEN},
)  # fmt: skip
"""Those that something else than a Create makes."""

PACKAGE = {"ModelPackageName": "$ModelPackageArn"}
MORE: dict[str, dict[str, Any]] = {
    "ModelPackage": {
        "get": PACKAGE,
        "update": {"ModelApprovalStatus": "Approved"},
        "undo": ["DeleteModelPackage", PACKAGE],
    },
    "Pipeline": {"delete": {"PipelineName": "$PipelineName", "ClientRequestToken": "t" * 32}},
    "ImageVersion": {"get": {"ImageName": "$ImageName"}},
}
"""What kinds are asked for besides; `undo` is called where the class cannot delete."""


def write(path: Path) -> Path:
    """Write the file that is the flow's argument."""
    nouns = [
        name.removeprefix("Create")
        for name, line in ledger()["sagemaker"].items()
        if name.startswith("Create") and line.state == "waits"
    ]
    lists = {noun: operation for noun in nouns if (operation := model.list_operation(noun)) is not None}
    waiting = {noun: [name, sample(model.operation(name).input_shape)] for noun, name in lists.items()}
    every = {**kinds(), **{kind.noun: kind for kind in JOBS}}
    described = [*(_described(kind) for kind in parents_first(every)), *OTHERS]
    path.write_text(json.dumps({"kinds": described, "waiting": waiting}))
    return path


def _described(kind: Kind) -> dict[str, Any]:
    """Return a kind's requests; a member of its parent is `$Member`, as the parent lives elsewhere."""
    parent = {member: f"${member}" for member in model.key_members(kind.parent)} if kind.parent else {}
    operation = f"Create{kind.noun}"
    required = model.operation(operation).input_shape.required_members
    tokens = {member: "t" * 32 for member in required if member in {"ClientToken", "ClientRequestToken"}}
    return {
        "noun": kind.noun,
        "by": operation,
        "create": kind.request(f"sdk-{kind.noun}".lower(), parent) | tokens,
        "update": dict(kind.update),
        "list": model.list_operation(kind.noun),
        "listing": kind.listing(parent),
        "runs": kind in JOBS,
        **MORE.get(kind.noun, {}),
    }
