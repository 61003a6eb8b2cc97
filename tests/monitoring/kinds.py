"""The kinds of `backends/monitoring`."""

from __future__ import annotations

from typing import Any

from tests.life.kind import ROLE, Kind

OUTPUT = {
    "MonitoringOutputs": [
        {
            "S3Output": {
                "S3Uri": "s3://bucket/reports",
                "LocalPath": "/opt/ml/processing/output",
                "S3UploadMode": "EndOfJob",
            }
        }
    ]
}
RESOURCES = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}}
ENDPOINT = {"EndpointInput": {"EndpointName": "endpoint", "LocalPath": "/opt/ml/processing/input"}}
LABELS = {"GroundTruthS3Input": {"S3Uri": "s3://bucket/labels"}}


def definition(kind: str, given: dict[str, Any], application: dict[str, Any]) -> Kind:
    return Kind(
        f"{kind}JobDefinition",
        request=lambda name, _: {
            "JobDefinitionName": name,
            f"{kind}AppSpecification": {"ImageUri": "image:1", **application},
            f"{kind}JobInput": {**ENDPOINT, **given},
            f"{kind}JobOutputConfig": OUTPUT,
            "JobResources": RESOURCES,
            "RoleArn": ROLE,
        },
    )


KINDS = (
    definition("DataQuality", {}, {}),
    definition("ModelQuality", LABELS, {"ProblemType": "Regression"}),
    definition("ModelBias", LABELS, {"ConfigUri": "s3://bucket/analysis_config.json"}),
    definition("ModelExplainability", {}, {"ConfigUri": "s3://bucket/analysis_config.json"}),
)
