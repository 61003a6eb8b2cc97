"""EndpointConfig and Endpoint: their declarations and legal moves. Source: shape EndpointStatus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core.resource import resource
from backends.core.states import machine

if TYPE_CHECKING:
    from backends.core.context import Context

ENDPOINT_CONFIG = resource(
    "EndpointConfig",
    arn_path="endpoint-config",
    exists='Cannot create already existing endpoint configuration "{arn}".',
)
ENDPOINT = resource(
    "Endpoint",
    arn_path="endpoint",
    status_member="EndpointStatus",
    machine=machine(
        Creating={"InService", "Failed", "Deleting"},
        InService={"Updating", "Deleting", "Failed"},
        Updating={"InService", "Failed", "Deleting"},
        Failed={"Deleting"},
    ),
    exists='Cannot create already existing endpoint "{arn}".',
    derives=("Describe", "List"),
)


def variants_of(cx: Context, config_name: str) -> list[dict[str, Any]]:
    """Return the production variants of a stored endpoint configuration."""
    variants: list[dict[str, Any]] = ENDPOINT_CONFIG.get(cx, config_name).document["ProductionVariants"]
    return variants


def summary(variant: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a variant as DescribeEndpoint shows it (shape ProductionVariantSummary)."""
    weight, count = variant.get("InitialVariantWeight", 1.0), variant.get("InitialInstanceCount", 1)
    return {
        "VariantName": variant["VariantName"],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
        **changes,
    }
