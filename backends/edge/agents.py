"""What agents on devices ask for and say: the service `sagemaker-edge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core.operation import operation
from backends.edge import plans
from backends.edge.devices import DEVICE

if TYPE_CHECKING:
    from backends.core.context import Context

# Unverified, both: AWS names neither the word nor the time.
REGISTERED, CACHE_S = "Registered", 86400
MODEL = ("ModelName", "ModelVersion", "LatestSampleTime", "LatestInference")


@operation("GetDeviceRegistration", service="sagemaker-edge", acts_on=("Device",))
def get_device_registration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return that a device is registered. ValidationException for one that is not."""
    DEVICE.named(cx, request)
    return {"DeviceRegistration": REGISTERED, "CacheTTL": str(CACHE_S)}


@operation("SendHeartbeat", service="sagemaker-edge", acts_on=("Device",))
def send_heartbeat(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep when a device was last heard of, its agent's version, and its models. ValidationException for none.

    What it says of a deployment goes to the plan. A model's times stay those of an earlier heartbeat where this one has none. Metrics are for AWS's own use (the
    model says so) and shown by no operation: none is kept.
    """
    row = DEVICE.named(cx, request)
    known = {(model["ModelName"], model["ModelVersion"]): model for model in row.document.get("Models", ())}
    named = [model for model in request.get("Models", ()) if {"ModelName", "ModelVersion"} <= model.keys()]
    models = [
        known.get((model["ModelName"], model["ModelVersion"]), {}) | {k: model[k] for k in MODEL if k in model}
        for model in named
    ]
    said = {"LatestHeartbeat": cx.clock.now(), "AgentVersion": request["AgentVersion"]}
    if "Models" in request:
        said["Models"] = models
    DEVICE.update(cx, row, {**row.document, **said})
    if "DeploymentResult" in request:
        plans.report(cx, row, request["DeploymentResult"])
    return {}


@operation("GetDeployments", service="sagemaker-edge", acts_on=("Device",), reads=False)
def get_deployments(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a device is to deploy, which counts as begun from now on. ValidationException for no device."""
    return {"Deployments": plans.deployments_of(cx, DEVICE.named(cx, request))}
