"""The four kinds of job definitions, alike but for the names of their members; what schedules answer until they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import derived, errors
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.resource import Resource

SCHEDULE = resource("MonitoringSchedule", arn_path="monitoring-schedule", awaits="Model Monitor")
SOURCES = ("EndpointInput", "BatchTransformInput")


def _definition(name: str, arn_path: str) -> Resource:
    endpoint = f"{name}JobInput.EndpointInput.EndpointName"
    summary = {
        "MonitoringJobDefinitionName": "JobDefinitionName",
        "MonitoringJobDefinitionArn": "JobDefinitionArn",
        "EndpointName": endpoint,
    }
    return resource(f"{name}JobDefinition", arn_path=arn_path, filters={"EndpointName": endpoint}, summary=summary)


DATA_QUALITY = _definition("DataQuality", "data-quality-job-definition")
MODEL_QUALITY = _definition("ModelQuality", "model-quality-job-definition")
MODEL_BIAS = _definition("ModelBias", "model-bias-job-definition")
MODEL_EXPLAINABILITY = _definition("ModelExplainability", "model-explainability-job-definition")
DEFINITIONS = {f"{each.noun.removesuffix('Definition')}Input": each for each in (
    DATA_QUALITY, MODEL_QUALITY, MODEL_BIAS, MODEL_EXPLAINABILITY
)}  # fmt: skip
"""By the member of the request that says what is watched."""


@operation(
    "CreateDataQualityJobDefinition",
    "CreateModelQualityJobDefinition",
    "CreateModelBiasJobDefinition",
    "CreateModelExplainabilityJobDefinition",
)
def create(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a definition. ValidationException unless it is about an endpoint or a batch transform; ResourceInUse for a taken name."""
    member = next(member for member in DEFINITIONS if member in request)
    if len([source for source in SOURCES if source in request[member]]) != 1:  # Unverified: AWS's wording
        raise errors.validation(f"Exactly one of {' and '.join(SOURCES)} must be given in {member}.")
    return derived.create(DEFINITIONS[member], cx, request)
