"""The Resource Groups Tagging API, with boto3: ours and moto's resources in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.site import Site


@pytest.fixture
def named(local: Site) -> dict[str, str]:
    """Return ARNs of two models and a queue: all of team a, one of stage test."""
    made = {}
    for name, stage in (("one", "test"), ("two", "live")):
        tags = [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": stage}]
        model: Any = {"ModelName": name, "ExecutionRoleArn": local.role, "PrimaryContainer": {"Image": "image:1"}}
        made[name] = local.sagemaker.create_model(**model, Tags=tags)["ModelArn"]
    sqs = local.client("sqs")
    url = sqs.create_queue(QueueName="q", tags={"team": "a"})["QueueUrl"]
    made["queue"] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return made


def arns(local: Site, **request: Any) -> list[str]:
    pages = local.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(**request)
    return [each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]]


def test_resources_are_found_by_tag_by_kind_and_in_pages(local: Site, named: dict[str, str]) -> None:
    team = [{"Key": "team", "Values": ["a"]}]
    everything = sorted(named.values())
    assert sorted(arns(local, TagFilters=team)) == everything
    assert sorted(arns(local, TagFilters=team, ResourcesPerPage=1)) == everything
    assert arns(local, TagFilters=[{"Key": "stage", "Values": ["test", "none"]}]) == [named["one"]]
    assert arns(local, ResourceTypeFilters=["sagemaker:model"]) == [named["one"], named["two"]]
    assert arns(local, ResourceTypeFilters=["sagemaker:endpoint"]) == []
    assert arns(local, ResourceARNList=[named["two"]]) == [named["two"]]
    tagging = local.client("resourcegroupstaggingapi")
    with pytest.raises(ClientError, match="Pagination"):
        tagging.get_resources(PaginationToken="bm90LW91cnM")


def test_keys_and_values_are_listed(local: Site, named: dict[str, str]) -> None:
    tagging = local.client("resourcegroupstaggingapi")
    assert named
    assert tagging.get_tag_keys()["TagKeys"] == ["stage", "team"]
    assert tagging.get_tag_values(Key="stage")["TagValues"] == ["live", "test"]


def test_tags_are_put_and_taken_and_what_is_not_there_is_said(local: Site, named: dict[str, str]) -> None:
    tagging = local.client("resourcegroupstaggingapi")
    missing = named["one"].replace("one", "none")
    answer = tagging.tag_resources(ResourceARNList=[named["one"], missing], Tags={"owner": "b"})
    assert list(answer["FailedResourcesMap"]) == [missing]
    foreign = [named["queue"].replace(local.account, "999999999999"), "nothing-at-all"]
    assert list(tagging.tag_resources(ResourceARNList=foreign, Tags={"o": "b"})["FailedResourcesMap"]) == foreign
    assert arns(local, TagFilters=[{"Key": "owner"}]) == [named["one"]]
    assert not tagging.untag_resources(ResourceARNList=[named["one"]], TagKeys=["owner"])["FailedResourcesMap"]
    assert "owner" not in {tag["Key"] for tag in local.sagemaker.list_tags(ResourceArn=named["one"])["Tags"]}
