"""References to models of SageMaker's public hub: contents of the type ModelReference, one version of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.operation import operation
from backends.hubs.operations import (
    CONTENT,
    FIRST_VERSION,
    HUB,
    REFERENCE,
    keys_of,
    number_of,
    prefix_of,
    store,
    version_of,
)

if TYPE_CHECKING:
    from backends.core.types import Context

NO_DOCUMENT = {"HubContentDocument": "{}", "DocumentSchemaVersion": "1.0.0"}
"""The public hub is not here: of its models there is the name and nothing else."""


@operation("CreateHubContentReference", acts_on=("Hub",))
def create_hub_content_reference(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a reference, under the model's own name unless another is given. ResourceInUse for a taken name."""
    hub, arn = HUB.named(cx, request), request["SageMakerPublicHubContentArn"]
    _, _, _, name, *version = arn.split("/")
    least = request.get("MinVersion", FIRST_VERSION)
    number_of("MinVersion", least)
    reference = {
        **request,
        **NO_DOCUMENT,
        "HubContentType": REFERENCE,
        "HubContentName": request.get("HubContentName", name),
        "HubContentVersion": version[0] if version else least,
        "ReferenceMinVersion": least,
    }
    number_of("HubContentVersion", reference["HubContentVersion"])
    if keys := keys_of(cx, prefix_of(hub, reference)):
        raise errors.in_use(f"Hub content reference already exists: {CONTENT.arn_of(cx, keys[0])}")  # Unverified
    return store(cx, hub, reference)


@operation("UpdateHubContentReference")
def update_hub_content_reference(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Change the least version that a reference takes."""
    hub = HUB.named(cx, request)
    row = version_of(cx, hub, _reference(request))
    if "MinVersion" in request:
        number_of("MinVersion", request["MinVersion"])
        row = CONTENT.update(cx, row, {**row.document, "ReferenceMinVersion": request["MinVersion"]})
    return {"HubArn": hub.arn, "HubContentArn": row.arn}


@operation("DeleteHubContentReference")
def delete_hub_content_reference(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a reference; the model stays in its hub."""
    CONTENT.delete(cx, version_of(cx, HUB.named(cx, request), _reference(request)))
    return {}


def _reference(request: dict[str, Any]) -> dict[str, Any]:
    if request["HubContentType"] != REFERENCE:  # API reference; AWS's wording unverified
        raise errors.validation(f"HubContentType must be {REFERENCE}.")
    return request
