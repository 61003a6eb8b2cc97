"""Fleets, with their aliases in AWS IoT, and the report on what their devices have said."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core import errors, events
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.context import Context

ALIAS = "IotRoleAlias"
CONNECTED_S = 300.0
"""A device is connected, a model active or sampled, while the last word of it is no older. Unverified: AWS names no time."""

FLEET = resource(
    "DeviceFleet",
    arn_path="device-fleet",
    exists="Device fleet already exists: {arn}",  # Unverified
    derives=("Describe", "List", "Delete"),
)


@operation("CreateDeviceFleet")
def create_device_fleet(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a fleet. ResourceInUse for a taken name, in whatever case."""
    name = request["DeviceFleetName"]
    row = FLEET.insert(cx, name, _with_alias(cx, name, request), tag_list=request.get("Tags"))
    _make_alias(cx, row.arn, {}, row.document)
    return {}


@operation("UpdateDeviceFleet")
def update_device_fleet(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a fleet; what is not given stays. ValidationException for none."""
    row = FLEET.named(cx, request)
    changes = {k: v for k, v in request.items() if k in {"RoleArn", "Description", "OutputConfig"}}
    document = _with_alias(cx, row.key, {**row.document, **changes, **_enabled(request)})
    FLEET.update(cx, row, {k: v for k, v in document.items() if k != "EnableIotRoleAlias"})
    _make_alias(cx, row.arn, row.document, document)
    return {}


def _enabled(request: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in request.items() if k == "EnableIotRoleAlias"}


def _with_alias(cx: Context, name: str, members: dict[str, Any]) -> dict[str, Any]:
    """Return a fleet's members with the alias that it asks for (CreateDeviceFleet: `SageMakerEdge-{DeviceFleetName}`)."""
    if not members.get("EnableIotRoleAlias"):
        return members
    if "RoleArn" not in members:  # Unverified: AWS's wording
        raise errors.validation("RoleArn is required where EnableIotRoleAlias is true.")
    # The guide ("Create a Fleet") shows this ARN; the model's pattern has `iam` in it, which no alias has.
    return {**members, ALIAS: arns.make("iot", cx.region, cx.account, f"rolealias/SageMakerEdge-{name}")}


def _make_alias(cx: Context, arn: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Have AWS IoT make a fleet's alias, or lead it to another role; a deleted fleet's alias stays (Unverified)."""
    if ALIAS not in after or (before.get(ALIAS), before.get("RoleArn")) == (after[ALIAS], after["RoleArn"]):
        return
    parameters = {"roleAlias": after[ALIAS].rpartition("/")[2], "roleArn": after["RoleArn"]}
    verb = "UpdateRoleAlias" if ALIAS in before else "CreateRoleAlias"
    call = {"service": "iot", "region": cx.region, "operation": verb, "parameters": parameters}
    events.emit(cx, "AwsCall", arn, "", "iot", "", call)


@operation("GetDeviceFleetReport", acts_on=("DeviceFleet",))
def get_device_fleet_report(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the devices of a fleet have said: how many are connected, their agents' versions, their models."""
    fleet, now = FLEET.named(cx, request), cx.clock.now()
    devices = [row.document for row in cx.kernel.resources["Device"].children_of(cx, fleet.key)]
    members = ("DeviceFleetArn", "DeviceFleetName", "OutputConfig", "Description")
    versions = Counter(device["AgentVersion"] for device in devices if "AgentVersion" in device)
    connected = sum(_is_recent(device.get("LatestHeartbeat"), now) for device in devices)
    return {
        **{member: fleet.document[member] for member in members if member in fleet.document},
        "ReportGenerated": now,
        "DeviceStats": {"ConnectedDeviceCount": connected, "RegisteredDeviceCount": len(devices)},
        "AgentVersions": [{"Version": version, "AgentCount": count} for version, count in sorted(versions.items())],
        "ModelStats": model_stats(devices, now),
    }


def model_stats(devices: Iterable[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """Count, for each version of a model, its devices: offline, connected, and of those the active and the sampling ones."""
    stats: dict[tuple[str, str], Counter[str]] = {}
    for device in devices:
        is_connected = _is_recent(device.get("LatestHeartbeat"), now)
        for model in device.get("Models", ()):
            count = stats.setdefault((model["ModelName"], model["ModelVersion"]), Counter())
            count["ConnectedDeviceCount" if is_connected else "OfflineDeviceCount"] += 1
            count["ActiveDeviceCount"] += is_connected and _is_recent(model.get("LatestInference"), now)
            count["SamplingDeviceCount"] += is_connected and _is_recent(model.get("LatestSampleTime"), now)
    names = ("OfflineDeviceCount", "ConnectedDeviceCount", "ActiveDeviceCount", "SamplingDeviceCount")
    return [
        {"ModelName": name, "ModelVersion": version, **{each: count[each] for each in names}}
        for (name, version), count in sorted(stats.items())
    ]


def _is_recent(time: float | None, now: float) -> bool:
    return time is not None and now - time <= CONNECTED_S
