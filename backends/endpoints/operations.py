"""EndpointConfig's and Endpoint's operations. They write what is wanted; `engine.py` brings it about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.lifecycle import transition
from backends.core.objects import parse_uri, role_access
from backends.core.operation import operation
from backends.endpoints import outcomes
from backends.endpoints.status import ENDPOINT, ENDPOINT_CONFIG, summary, variants_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef,
        CreateEndpointInputTypeDef,
        DeleteEndpointInputTypeDef,
        UpdateEndpointInputTypeDef,
        UpdateEndpointWeightsAndCapacitiesInputTypeDef,
    )

    from backends.core.context import Context
    from backends.core.rows import Row

# What a later issue brings; accepting it would be a pretence.
LATER_OF_CONFIG = {
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explainer endpoints",
    "MetricsConfig": "endpoint metrics configuration",
}
LATER_OF_VARIANT = {
    "ServerlessConfig": "serverless endpoints",
    "ManagedInstanceScaling": "managed instance scaling",
    "CoreDumpConfig": "core dumps",
    "CapacityReservationConfig": "capacity reservations",
    "InstancePools": "instance pools",
}


@operation("CreateEndpointConfig")
def create_endpoint_config(cx: Context, request: CreateEndpointConfigInputTypeDef) -> dict[str, Any]:
    """Store a configuration. ValidationException for a model that is not there, a variant named twice, no weight."""
    ENDPOINT_CONFIG.check_free(cx, request["EndpointConfigName"])
    for member, what in LATER_OF_CONFIG.items():
        if request.get(member):
            raise errors.not_implemented(what)
    capture: Mapping[str, Any] = request.get("DataCaptureConfig") or {}
    if capture.get("EnableCapture"):
        raise errors.not_implemented("data capture")
    variants = request["ProductionVariants"]
    for variant in variants:
        _check_variant(cx, variant)
    if len({variant["VariantName"] for variant in variants}) != len(variants):
        raise errors.validation("VariantName must be unique within ProductionVariants.")
    if not sum(variant.get("InitialVariantWeight", 1.0) for variant in variants):
        raise errors.validation("The weights of all production variants add up to zero.")
    _check_async(cx, request.get("AsyncInferenceConfig"), variants[0]["ModelName"])
    filled = [{"InitialVariantWeight": 1.0, **variant} for variant in variants]
    row = ENDPOINT_CONFIG.insert(
        cx,
        request["EndpointConfigName"],
        {"EnableNetworkIsolation": False, **request, "ProductionVariants": filled},
        tag_list=request.get("Tags"),
    )
    return {"EndpointConfigArn": row.arn}


@operation("CreateEndpoint", acts_on=("Endpoint", "EndpointConfig"))
def create_endpoint(cx: Context, request: CreateEndpointInputTypeDef) -> dict[str, Any]:
    """Accept an endpoint as Creating; its containers start from the event this writes."""
    name, config = request["EndpointName"], request["EndpointConfigName"]
    ENDPOINT.check_free(cx, name)
    variants = variants_of(cx, config)
    _check_deployment(request.get("DeploymentConfig"))
    document = {
        "EndpointName": name,
        "EndpointConfigName": config,
        "ProductionVariants": [summary(v, CurrentInstanceCount=0) for v in variants],
    }
    async_config = ENDPOINT_CONFIG.get(cx, config).document.get("AsyncInferenceConfig")
    if async_config is not None:
        document["AsyncInferenceConfig"] = async_config
    row = ENDPOINT.insert(cx, name, document, status="Creating", tag_list=request.get("Tags"))
    outcomes.publish_test(cx, row.arn, async_config)
    return {"EndpointArn": row.arn}


@operation("UpdateEndpoint", acts_on=("Endpoint", "EndpointConfig"))
def update_endpoint(cx: Context, request: UpdateEndpointInputTypeDef) -> dict[str, Any]:
    """Deploy another configuration beside the old one, then switch. ValidationException unless InService."""
    row = _in_service(cx, request["EndpointName"])
    wanted = request["EndpointConfigName"]
    if wanted == row.document["EndpointConfigName"]:
        raise errors.validation(f'Cannot update endpoint "{row.arn}" to the configuration it already uses.')
    # AWS reads the configuration in use too, and refuses when it was deleted (terraform-provider-aws 40048, 42843).
    variants_of(cx, row.document["EndpointConfigName"])
    _check_deployment(request.get("DeploymentConfig"))
    if request.get("RetainAllVariantProperties"):
        raise errors.not_implemented("RetainAllVariantProperties")
    variants = variants_of(cx, wanted)
    pending = {
        "EndpointConfigName": wanted,
        "ProductionVariants": [summary(v, CurrentInstanceCount=0) for v in variants],
        "StartTime": cx.clock.now(),
    }
    transition(cx, ENDPOINT, row, "Updating", PendingDeploymentSummary=pending, FailureReason=None)
    outcomes.publish_test(cx, row.arn, ENDPOINT_CONFIG.get(cx, wanted).document.get("AsyncInferenceConfig"))
    return {"EndpointArn": row.arn}


@operation("UpdateEndpointWeightsAndCapacities", acts_on=("Endpoint",))
def update_endpoint_weights_and_capacities(
    cx: Context, request: UpdateEndpointWeightsAndCapacitiesInputTypeDef
) -> dict[str, Any]:
    """Change weights and instance counts of the variants that serve."""
    row = _in_service(cx, request["EndpointName"])
    wanted = {entry["VariantName"]: entry for entry in request["DesiredWeightsAndCapacities"]}
    known = {variant["VariantName"] for variant in row.document["ProductionVariants"]}
    if missing := sorted(wanted.keys() - known):
        raise errors.validation(f'The endpoint "{row.arn}" has no variant named {", ".join(missing)}.')
    variants = []
    for variant in row.document["ProductionVariants"]:
        entry: Mapping[str, Any] = wanted.get(variant["VariantName"], {})
        if entry.get("ServerlessUpdateConfig"):
            raise errors.not_implemented(LATER_OF_VARIANT["ServerlessConfig"])
        if entry.get("DesiredInstanceCount", 1) < 1:
            raise errors.validation(f"DesiredInstanceCount of the variant {variant['VariantName']} must be at least 1.")
        changes = {name: entry[name] for name in ("DesiredWeight", "DesiredInstanceCount") if name in entry}
        variants.append({**variant, **changes})
    if not sum(variant["DesiredWeight"] for variant in variants):
        raise errors.validation("The weights of all production variants add up to zero.")
    transition(cx, ENDPOINT, row, "Updating", ProductionVariants=variants, FailureReason=None)
    return {"EndpointArn": row.arn}


@operation("DeleteEndpoint")
def delete_endpoint(cx: Context, request: DeleteEndpointInputTypeDef) -> dict[str, Any]:
    """Stop what serves and forget the endpoint. ValidationException while it is Creating or Updating."""
    row = ENDPOINT.get(cx, request["EndpointName"])
    if row.status in {"Creating", "Updating"}:
        raise errors.validation(f'Cannot update in-progress endpoint "{row.arn}".')
    if row.status != "Deleting":
        transition(cx, ENDPOINT, row, "Deleting")
    return {}


def _in_service(cx: Context, name: str) -> Row:
    row = ENDPOINT.get(cx, name)
    if row.status != "InService":
        raise errors.validation(f'Cannot update in-progress endpoint "{row.arn}".')  # Unverified: AWS's wording
    return row


def _check_variant(cx: Context, variant: Mapping[str, Any]) -> None:
    for member, what in LATER_OF_VARIANT.items():
        if variant.get(member):
            raise errors.not_implemented(what)
    if "ModelName" not in variant:
        raise errors.not_implemented("inference components (a variant without ModelName)")
    if "InstanceType" not in variant:
        raise errors.validation(f"InstanceType is required for the variant {variant['VariantName']}.")
    if variant.get("InitialInstanceCount", 1) < 1:
        raise errors.validation(f"InitialInstanceCount of the variant {variant['VariantName']} must be at least 1.")
    cx.call("DescribeModel", {"ModelName": variant["ModelName"]})


def _check_async(cx: Context, config: Mapping[str, Any] | None, model: str) -> None:
    """Refuse places that the endpoint's role (its first variant's model's) may not write. Unverified: that AWS does so here."""
    if config is None:
        return
    output = config["OutputConfig"]
    if output.get("NotificationConfig", {}).get("IncludeInferenceResponseIn"):
        raise errors.not_implemented("inference responses in notifications of asynchronous inference")
    role = cx.call("DescribeModel", {"ModelName": model}).get("ExecutionRoleArn", "")
    acting = role_access.as_role(cx, role)
    for member in ("S3OutputPath", "S3FailurePath"):
        if member not in output:
            continue
        bucket, prefix = parse_uri(output[member])
        if not role_access.may(acting, bucket, "s3:PutObject", f"{prefix.rstrip('/')}/inference.out".lstrip("/")):
            raise errors.validation(
                f"The S3 bucket of {member}, {output[member]}, does not exist, is not this account's, or is closed to the "
                f"role {role}."
            )


def _check_deployment(config: Mapping[str, Any] | None) -> None:
    """Refuse what is more than the default: all at once, without alarms."""
    if not config:
        return
    routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if config.get("RollingUpdatePolicy") or routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise errors.not_implemented("canary, linear and rolling deployments")
    if config.get("AutoRollbackConfiguration", {}).get("Alarms"):
        raise errors.not_implemented("rollback on alarms")
