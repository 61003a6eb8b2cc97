"""Images through boto3: versions by number, alias and none, and botocore's own waiters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/mine"
ONCE = {"Delay": 0, "MaxAttempts": 1}


@pytest.fixture
def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/role"


@pytest.fixture
def client(aws: Callable[..., Any], role: str) -> Any:
    made = aws("sagemaker")
    made.create_image(ImageName="Mine", RoleArn=role, Description="d", DisplayName="Mine too")
    return made


def version(client: Any, tag: str, **more: Any) -> str:
    arn: str = client.create_image_version(ImageName="Mine", BaseImage=f"{BASE}:{tag}", **more)["ImageVersionArn"]
    return arn


def number(client: Any, **which: Any) -> int:
    shown: int = client.describe_image_version(ImageName="Mine", **which)["Version"]
    return shown


def test_versions_are_found_by_number_alias_and_as_the_latest(client: Any, account: str) -> None:
    code, message = refused(lambda: client.describe_image_version(ImageName="Mine"))
    assert code == "ResourceNotFound"
    assert message == "Latest ImageVersion with ImageName Mine does not exist. Please provide a valid ImageName."
    arn = version(client, "1", Aliases=["stable", "one"], JobType="TRAINING")
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:image-version/mine/1"
    version(client, "2", Aliases=["two"])
    assert [number(client), number(client, Alias="stable"), number(client, Version=1)] == [2, 1, 1]
    shown = client.describe_image_version(ImageName="Mine", Version=1)
    assert (shown["BaseImage"], shown["ContainerImage"], shown["JobType"]) == (f"{BASE}:1", f"{BASE}:1", "TRAINING")
    assert shown["ImageArn"] == f"arn:aws:sagemaker:us-east-1:{account}:image/mine"
    assert refused(lambda: version(client, "3", Aliases=["one"]))[0] == "ResourceInUse"
    client.update_image_version(ImageName="Mine", Alias="stable", AliasesToDelete=["stable"], ReleaseNotes="old")
    client.update_image_version(ImageName="Mine", Version=2, AliasesToAdd=["stable"])
    assert number(client, Alias="stable") == 2
    assert client.describe_image_version(ImageName="Mine", Alias="one")["ReleaseNotes"] == "old"
    pages = client.get_paginator("list_aliases").paginate(ImageName="Mine", PaginationConfig={"PageSize": 1})
    assert [alias for page in pages for alias in page["SageMakerImageVersionAliases"]] == ["one", "stable", "two"]
    assert client.list_aliases(ImageName="Mine", Version=2)["SageMakerImageVersionAliases"] == ["stable", "two"]
    client.delete_image_version(ImageName="Mine", Alias="stable")
    assert client.list_aliases(ImageName="Mine")["SageMakerImageVersionAliases"] == ["one"]
    assert refused(lambda: number(client, Alias="two"))[0] == "ResourceNotFound"
    assert version(client, "3").endswith("/3")


def test_botocores_waiters_work_unchanged(client: Any, role: str) -> None:
    client.get_waiter("image_created").wait(ImageName="Mine", WaiterConfig=ONCE)
    client.update_image(ImageName="Mine", DeleteProperties=["Description"], DisplayName="Other")
    client.get_waiter("image_updated").wait(ImageName="Mine", WaiterConfig=ONCE)
    shown = client.describe_image(ImageName="Mine")
    assert (shown.get("Description"), shown["DisplayName"]) == (None, "Other")
    version(client, "1")
    client.get_waiter("image_version_created").wait(ImageName="Mine", WaiterConfig=ONCE)
    client.delete_image_version(ImageName="Mine", Version=1)
    client.get_waiter("image_version_deleted").wait(ImageName="Mine", Version=1, WaiterConfig=ONCE)
    version(client, "2", Aliases=["two"])
    client.delete_image(ImageName="Mine")
    client.get_waiter("image_deleted").wait(ImageName="Mine", WaiterConfig=ONCE)
    assert refused(lambda: client.list_image_versions(ImageName="Mine"))[0] == "ResourceNotFound"
    client.create_image(ImageName="mine", RoleArn=role)
    assert client.create_image_version(ImageName="mine", BaseImage=f"{BASE}:1")["ImageVersionArn"].endswith("/1")
    assert client.list_aliases(ImageName="mine")["SageMakerImageVersionAliases"] == []


def test_eventbridge_hears_of_images_and_versions(
    aws: Callable[..., Any], client: Any, account: str, role: str
) -> None:
    events, sqs = aws("events"), aws("sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    pattern = {"detail-type": [{"prefix": "SageMaker Image"}], "detail": {"ImageArn": [{"suffix": "/other"}]}}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{account}:heard"}])
    image = client.create_image(ImageName="other", RoleArn=role)["ImageArn"]
    arn = client.create_image_version(ImageName="other", BaseImage=f"{BASE}:1")["ImageVersionArn"]
    heard: dict[str, Any] = {}
    while len(heard) < 2:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]:
            event = json.loads(message["Body"])
            heard[event["detail-type"]] = event
    shown = heard["SageMaker Image State Change"]
    assert (shown["resources"], shown["detail"]["ImageStatus"]) == ([image], "CREATED")
    shown = heard["SageMaker Image Version State Change"]
    assert (shown["resources"], shown["detail"]["ImageVersionStatus"]) == ([arn], "CREATED")


def test_lists_have_every_order(client: Any, role: str) -> None:
    for tag in "12":
        version(client, tag)
    client.create_image(ImageName="another", RoleArn=role)

    def versions(**request: Any) -> list[int]:
        return [each["Version"] for each in client.list_image_versions(ImageName="Mine", **request)["ImageVersions"]]

    def names(**request: Any) -> list[str]:
        return [each["ImageName"] for each in client.list_images(**request)["Images"]]

    assert versions() == versions(SortBy="VERSION", SortOrder="DESCENDING") == [2, 1]
    assert versions(SortBy="VERSION", SortOrder="ASCENDING") == [1, 2]
    assert names() == ["another", "Mine"]
    assert names(SortBy="IMAGE_NAME", SortOrder="ASCENDING") == ["Mine", "another"]
    assert names(NameContains="IN") == ["Mine"]
    assert refused(lambda: client.create_image(ImageName="Mine", RoleArn=role)) == (
        "ResourceInUse",
        "The Image with ImageName Mine already exists. Please use a different ImageName.",
    )


def test_an_image_configuration_shows_its_kernels_in_the_list(client: Any) -> None:
    lab = {"ContainerConfig": {"ContainerEntrypoint": ["start"]}}
    client.create_app_image_config(AppImageConfigName="Lab", JupyterLabAppImageConfig=lab)
    (listed,) = client.list_app_image_configs(NameContains="la", SortBy="Name")["AppImageConfigs"]
    assert listed["JupyterLabAppImageConfig"] == lab
    code, message = refused(lambda: client.create_app_image_config(AppImageConfigName="lab"))
    assert (code, message) == ("ResourceInUse", "The ID or Name specified is already in use.")
