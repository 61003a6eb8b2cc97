"""Devices of fleets: registered and changed several at once, all of them or none. Describe and List are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.dialects import one_at_a_time
from backends.core.operation import operation
from backends.core.resource import resource
from backends.edge.fleets import FLEET

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

DEVICE = resource(
    "Device",
    arn_path="device-fleet/{DeviceFleetName}/device/{DeviceName}",
    key=("DeviceFleetName", "DeviceName"),
    parent=FLEET,
    in_use="Device fleet {arn} cannot be deleted: device {child} is registered to it.",  # Unverified
    filters={"ModelName": "Models.ModelName"},
    times=("RegistrationTime", ""),
    derives=("Describe", "List"),
)


def _fleet(cx: Context, request: dict[str, Any]) -> Row:
    """Return the fleet that a request names; no other request changes its devices meanwhile, in whatever order it names them."""
    fleet = FLEET.named(cx, request)
    one_at_a_time(cx.db, f"devices of {fleet.arn}")
    return fleet


@operation("RegisterDevices", acts_on=("DeviceFleet",))
def register_devices(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store devices of a fleet. ValidationException for no fleet, or a device that is registered, or named twice."""
    fleet = _fleet(cx, request)
    for device in request["Devices"]:
        key = f"{fleet.key}/{device['DeviceName']}"
        if DEVICE.find_arn(cx, DEVICE.arn_of(cx, key)) is not None:  # Unverified: AWS's wording
            raise errors.validation(f"Device {device['DeviceName']} is already registered to fleet {fleet.key}.")
        DEVICE.insert(cx, key, {**device, "DeviceFleetName": fleet.key}, tag_list=request.get("Tags"))
    return {}


@operation("UpdateDevices", acts_on=("DeviceFleet",))
def update_devices(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change descriptions and things of devices. ValidationException for one that is not registered."""
    fleet = _fleet(cx, request)
    for device in request["Devices"]:
        row = DEVICE.get(cx, f"{fleet.key}/{device['DeviceName']}")
        DEVICE.update(cx, row, {**row.document, **device})
    return {}


@operation("DeregisterDevices", acts_on=("DeviceFleet",))
def deregister_devices(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove devices of a fleet. ValidationException for one that is not registered."""
    fleet = _fleet(cx, request)
    for name in request["DeviceNames"]:
        DEVICE.delete(cx, DEVICE.get(cx, f"{fleet.key}/{name}"))
    return {}
