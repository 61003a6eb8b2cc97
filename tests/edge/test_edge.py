"""Edge Manager through boto3: fleets, devices, and what agents say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site import Site

WAIT_S = 20.0
OUTPUT = {"S3OutputLocation": "s3://bucket/samples"}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def wait_for_alias(iot: Any, role: str) -> None:
    """Wait until the fleet's alias leads to a role: AWS IoT is called once the fleet is committed."""
    deadline = time.monotonic() + WAIT_S
    while True:
        with suppress(iot.exceptions.ResourceNotFoundException):
            alias = iot.describe_role_alias(roleAlias="SageMakerEdge-f")["roleAliasDescription"]["roleArn"]
            if alias == role:
                return
        assert time.monotonic() < deadline, f"no alias of {role}"
        time.sleep(0.02)


def fleet_of(client: Any, name: str, *devices: str) -> None:
    client.create_device_fleet(DeviceFleetName=name, OutputConfig=OUTPUT)
    client.register_devices(DeviceFleetName=name, Devices=[{"DeviceName": device} for device in devices])


def test_of_many_that_register_the_same_devices_at_once_one_does(aws: Callable[..., Any]) -> None:
    """In whatever order each names them: on PostgreSQL two would wait for each other."""
    client, names = aws("sagemaker", max_pool_connections=12), [f"d{number}" for number in range(6)]
    client.create_device_fleet(DeviceFleetName="F", OutputConfig=OUTPUT)

    def register(first: int) -> str:
        devices = [{"DeviceName": name} for name in (*names[first:], *names[:first])]
        try:
            client.register_devices(DeviceFleetName="F", Devices=devices)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    with ThreadPoolExecutor(12) as pool:
        said = sorted(pool.map(register, [number % 6 for number in range(12)]))
    assert said == ["", *["ValidationException"] * 11]


def test_devices_live_below_their_fleet_which_cannot_go_before_them(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    fleet_of(client, "Fleet", "One")
    assert (
        refused(lambda: client.create_device_fleet(DeviceFleetName="fleet", OutputConfig=OUTPUT))[0] == "ResourceInUse"
    )
    tags = [{"Key": "k", "Value": "v"}]
    client.register_devices(
        DeviceFleetName="Fleet",
        Devices=[{"DeviceName": "two", "Description": "d", "IotThingName": "t"}, {"DeviceName": "three"}],
        Tags=tags,
    )
    device = client.describe_device(DeviceFleetName="Fleet", DeviceName="two")
    assert device["DeviceArn"] == f"arn:aws:sagemaker:us-east-1:{account}:device-fleet/fleet/device/two"
    assert client.list_tags(ResourceArn=device["DeviceArn"])["Tags"] == tags
    assert not device.keys() & {"LatestHeartbeat", "Models", "AgentVersion"}
    again = [{"DeviceName": "four"}, {"DeviceName": "ONE"}]
    code, message = refused(lambda: client.register_devices(DeviceFleetName="Fleet", Devices=again))
    assert (code, "ONE" in message) == ("ValidationException", True)
    names = [each["DeviceName"] for each in client.list_devices(DeviceFleetName="Fleet")["DeviceSummaries"]]
    assert sorted(names) == ["One", "three", "two"], "all of them or none"
    client.update_devices(DeviceFleetName="Fleet", Devices=[{"DeviceName": "two", "Description": "changed"}])
    changed = client.describe_device(DeviceFleetName="Fleet", DeviceName="two")
    assert (changed["Description"], changed["IotThingName"]) == ("changed", "t")
    for call in (
        lambda: client.update_devices(DeviceFleetName="Fleet", Devices=[{"DeviceName": "none"}]),
        lambda: client.deregister_devices(DeviceFleetName="Fleet", DeviceNames=["two", "none"]),
        lambda: client.describe_device(DeviceFleetName="none", DeviceName="two"),
    ):
        assert refused(call)[1].startswith("No device with name")
    assert refused(lambda: client.register_devices(DeviceFleetName="no", Devices=[]))[1].startswith("No device fleet")
    assert refused(lambda: client.delete_device_fleet(DeviceFleetName="Fleet"))[0] == "ResourceInUse"
    client.deregister_devices(DeviceFleetName="Fleet", DeviceNames=["One", "two", "three"])
    client.delete_device_fleet(DeviceFleetName="Fleet")
    assert client.list_device_fleets()["DeviceFleetSummaries"] == []


def test_a_fleets_alias_is_made_in_iot_and_follows_its_role(aws: Callable[..., Any], account: str) -> None:
    client, iot = aws("sagemaker"), aws("iot")
    role = f"arn:aws:iam::{account}:role/iot"
    given = {"DeviceFleetName": "f", "OutputConfig": OUTPUT, "EnableIotRoleAlias": True}
    assert refused(lambda: client.create_device_fleet(**given))[0] == "ValidationException"
    client.create_device_fleet(**given, RoleArn=role)
    alias = client.describe_device_fleet(DeviceFleetName="f")["IotRoleAlias"]
    assert alias == f"arn:aws:iot:us-east-1:{account}:rolealias/SageMakerEdge-f"
    wait_for_alias(iot, role)
    client.update_device_fleet(DeviceFleetName="f", OutputConfig=OUTPUT, RoleArn=f"{role}2", Description="d")
    fleet = client.describe_device_fleet(DeviceFleetName="f")
    assert (fleet["Description"], fleet["IotRoleAlias"]) == ("d", alias)
    wait_for_alias(iot, f"{role}2")


def test_a_heartbeat_is_what_is_known_of_a_device(local: Site) -> None:
    client, agent = local.sagemaker, local.client("sagemaker-edge")
    fleet_of(client, "f", "a", "b", "c")
    who = {"DeviceFleetName": "f", "DeviceName": "a"}
    assert agent.get_device_registration(**who)["DeviceRegistration"]
    assert agent.get_deployments(**who)["Deployments"] == []
    none = {**who, "DeviceName": "none"}
    for call in (agent.get_device_registration, agent.get_deployments):
        assert refused(lambda call=call: call(**none))[1].startswith("No device")  # type: ignore[misc]
    assert refused(lambda: agent.send_heartbeat(**none, AgentVersion="1"))[1].startswith("No device")
    now = datetime.fromtimestamp(int(time.time()), UTC)
    model = {"ModelName": "model", "ModelVersion": "1.0"}
    metrics = [{"MetricName": "load", "Value": 1.0, "Timestamp": now}]
    agent.send_heartbeat(
        **who,
        AgentVersion="1.1",
        AgentMetrics=metrics,
        Models=[{**model, "LatestInference": now, "ModelMetrics": metrics}],
    )
    agent.send_heartbeat(**who, AgentVersion="1.2", Models=[{**model, "LatestSampleTime": now}])
    agent.send_heartbeat(**{**who, "DeviceName": "b"}, AgentVersion="1.1", Models=[model])
    device = client.describe_device(**who)
    assert device["Models"] == [{**model, "LatestInference": now, "LatestSampleTime": now}]
    assert device["AgentVersion"] == "1.2"
    assert device["LatestHeartbeat"] >= now
    listed = client.list_devices(ModelName="model", LatestHeartbeatAfter=now - timedelta(seconds=1))["DeviceSummaries"]
    assert {each["DeviceName"]: each["Models"] for each in listed} == {"a": [model], "b": [model]}
    assert client.list_devices(LatestHeartbeatAfter=now + timedelta(hours=1))["DeviceSummaries"] == []
    assert client.list_devices(ModelName="other")["DeviceSummaries"] == []
    report = client.get_device_fleet_report(DeviceFleetName="f")
    assert report["DeviceStats"] == {"ConnectedDeviceCount": 2, "RegisteredDeviceCount": 3}
    assert report["AgentVersions"] == [{"Version": "1.1", "AgentCount": 1}, {"Version": "1.2", "AgentCount": 1}]
    counts = {"OfflineDeviceCount": 0, "ConnectedDeviceCount": 2, "ActiveDeviceCount": 1, "SamplingDeviceCount": 1}
    assert report["ModelStats"] == [{**model, **counts}]
    local.move_clock(3600)
    (stats,) = client.get_device_fleet_report(DeviceFleetName="f")["ModelStats"]
    assert (stats["OfflineDeviceCount"], stats["ConnectedDeviceCount"], stats["ActiveDeviceCount"]) == (2, 0, 0)
