"""Models through boto3: a pure record from creation to deletion, its pages, its tags, its refusals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

CONTAINER = {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1", "ModelDataUrl": "s3://b/model.tar.gz"}


def create(client: Any, name: str, **more: Any) -> str:
    given = {"PrimaryContainer": CONTAINER, **more}
    arn: str = client.create_model(ModelName=name, **given)["ModelArn"]
    return arn


def refused(call: Callable[[], Any]) -> dict[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error: dict[str, str] = caught.value.response["Error"]
    return error


def test_what_is_created_is_described_listed_and_deleted(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    arn = create(client, "My-Model", Tags=[{"Key": "team", "Value": "a"}])
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:model/my-model"
    described = client.describe_model(ModelName="My-Model")
    assert described["PrimaryContainer"] == CONTAINER
    assert described["EnableNetworkIsolation"] is False
    assert "Tags" not in described
    assert "VpcConfig" not in described
    assert [m["ModelName"] for m in client.list_models()["Models"]] == ["My-Model"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    client.delete_model(ModelName="My-Model")
    error = refused(lambda: client.describe_model(ModelName="My-Model"))
    assert error == {"Code": "ValidationException", "Message": f'Could not find model "{arn}".'}


def test_a_taken_name_is_refused_with_awss_sentence(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    arn = create(client, "twice")
    error = refused(lambda: create(client, "twice"))
    assert error == {"Code": "ValidationException", "Message": f'Cannot create already existing model "{arn}".'}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"PrimaryContainer": CONTAINER, "Containers": [CONTAINER]}, "Only one of PrimaryContainer and Containers"),
        ({}, "At least one container definition"),
        ({"PrimaryContainer": {"ModelDataUrl": "s3://b/m.tar.gz"}}, "Either Image or ModelPackageName"),
        ({"PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/model.zip"}}, "must be a gzip-compressed tar"),
    ],
)
def test_what_cannot_be_served_is_refused(aws: Callable[..., Any], given: dict[str, Any], sentence: str) -> None:
    client = aws("sagemaker")
    error = refused(lambda: client.create_model(ModelName="bad", **given))
    assert error["Code"] == "ValidationException"
    assert sentence in error["Message"]
    assert client.list_models()["Models"] == []


def test_what_is_not_built_says_so(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    error = refused(lambda: create(client, "many", PrimaryContainer={**CONTAINER, "Mode": "MultiModel"}))
    assert error["Code"] == "NotImplemented"
    assert "multi-model" in error["Message"]


def test_every_violation_is_in_one_sentence(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    error = refused(lambda: create(client, "my_model" * 10))
    value = "my_model" * 10
    assert error["Message"] == (
        f"2 validation errors detected: Value '{value}' at 'modelName' failed to satisfy constraint: Member must have "
        f"length less than or equal to 63; Value '{value}' at 'modelName' failed to satisfy constraint: Member must "
        "satisfy regular expression pattern: [a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?"
    )


def test_accounts_and_regions_do_not_see_each_other(aws: Callable[..., Any]) -> None:
    own = aws("sagemaker")
    create(own, "only-here")
    for other in (aws("sagemaker", region="eu-west-1"), aws("sagemaker", account="555566667777")):
        assert "only-here" not in [m["ModelName"] for m in other.list_models()["Models"]]
        assert refused(partial(other.describe_model, ModelName="only-here"))["Code"] == "ValidationException"


def test_tags_are_merged_paged_and_limited(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    arn = create(client, "tagged", Tags=[{"Key": "a", "Value": "1"}])
    merged = client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])["Tags"]
    assert merged == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(49)]
    assert refused(lambda: client.add_tags(ResourceArn=arn, Tags=many))["Code"] == "ValidationException"
    client.delete_tags(ResourceArn=arn, TagKeys=["a", "not-there"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}]
    reserved = refused(lambda: client.add_tags(ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": "1"}]))
    assert reserved["Code"] == "ValidationException"


def test_filters_and_sorts(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    for name in ("alpha-1", "beta", "Alpha-2"):
        create(client, name)
    listed = client.list_models(NameContains="alpha", SortBy="Name", SortOrder="Ascending")["Models"]
    assert [m["ModelName"] for m in listed] == ["Alpha-2", "alpha-1"]
    middle = client.describe_model(ModelName="beta")["CreationTime"]
    after = [m["ModelName"] for m in client.list_models(CreationTimeAfter=middle)["Models"]]
    assert "alpha-1" not in after
    newest_first = [m["ModelName"] for m in client.list_models()["Models"]]
    assert newest_first == ["Alpha-2", "beta", "alpha-1"]


def test_a_page_token_belongs_to_its_request(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    for n in range(3):
        create(client, f"m{n}")
    token = client.list_models(MaxResults=1)["NextToken"]
    for wrong in ({"NextToken": "nonsense"}, {"NextToken": token, "NameContains": "m"}):
        assert refused(partial(client.list_models, **wrong))["Code"] == "ValidationException"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 12), size=st.integers(1, 5), order=st.sampled_from(["Ascending", "Descending"]))
def test_all_pages_together_are_the_whole_without_repeats(
    server: LiveServer, count: int, size: int, order: str
) -> None:
    from tests.conftest import ACCOUNTS

    client = server.client("sagemaker", f"{next(ACCOUNTS):012d}")
    for n in range(count):
        create(client, f"model-{n}")
    pages = client.get_paginator("list_models").paginate(
        SortBy="Name", SortOrder=order, PaginationConfig={"PageSize": size}
    )
    names = [model["ModelName"] for page in pages for model in page["Models"]]
    assert names == sorted((f"model-{n}" for n in range(count)), reverse=order == "Descending")


def test_a_model_is_made_of_an_approved_package_only(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="g")
    kinds = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
    specification = {"Containers": [{**CONTAINER, "Environment": {"A": "1"}}], **kinds}
    package = client.create_model_package(ModelPackageGroupName="g", InferenceSpecification=specification)[
        "ModelPackageArn"
    ]
    container = {"ModelPackageName": package, "Environment": {"B": "2"}}
    assert "is not approved" in refused(lambda: create(client, "m", PrimaryContainer=container))["Message"]
    client.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    create(client, "m", PrimaryContainer=container)
    assert client.describe_model(ModelName="m")["PrimaryContainer"] == container
    other = {**container, "InferenceSpecificationName": "none"}
    assert "no inference specification none" in refused(lambda: create(client, "n", PrimaryContainer=other))["Message"]
    assert (
        "Only one of" in refused(lambda: create(client, "n", PrimaryContainer={**container, "Image": "i"}))["Message"]
    )
    missing = {"ModelPackageName": package.replace("/1", "/9")}
    assert refused(lambda: create(client, "n", PrimaryContainer=missing))["Code"] == "ValidationException"
    assert [each["ModelName"] for each in client.list_models()["Models"]] == ["m"]
