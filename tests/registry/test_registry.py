"""The model registry through boto3: groups, versions and names, approvals, policies, lists, refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"
SPECIFICATION = {"Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://b/model.tar.gz"}]}
CARD = {"model_overview": {"model_id": "m-1", "model_description": "secret"}, "intended_uses": {"risk_rating": "Low"}}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def version(client: Any, group: str, **more: Any) -> str:
    arn: str = client.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **more)[
        "ModelPackageArn"
    ]
    return arn


def test_versions_are_numbered_below_their_group_and_no_number_comes_again(
    aws: Callable[..., Any], account: str
) -> None:
    client = aws("sagemaker")
    group = client.create_model_package_group(
        ModelPackageGroupName="Group", ModelPackageGroupDescription="d", Tags=[{"Key": "k", "Value": "v"}]
    )["ModelPackageGroupArn"]
    assert group == f"arn:aws:sagemaker:us-east-1:{account}:model-package-group/group"
    assert client.list_tags(ResourceArn=group)["Tags"] == [{"Key": "k", "Value": "v"}]
    described = client.describe_model_package_group(ModelPackageGroupName=group)
    assert (described["ModelPackageGroupStatus"], described["ModelPackageGroupDescription"]) == ("Completed", "d")
    assert described["CreatedBy"]["IamIdentity"]["Arn"].startswith(f"arn:aws:iam::{account}:")
    first, second = version(client, "Group"), version(client, group, ModelApprovalStatus="Approved")
    assert first == f"arn:aws:sagemaker:us-east-1:{account}:model-package/group/1"
    package = client.describe_model_package(ModelPackageName=second)
    assert (package["ModelPackageGroupName"], package["ModelPackageVersion"]) == ("Group", 2)
    assert package["ModelPackageStatus"] == "Completed"
    assert package["ModelPackageStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}
    code, message = refused(lambda: client.delete_model_package_group(ModelPackageGroupName="Group"))
    assert code == "ConflictException"
    assert group in message
    client.delete_model_package(ModelPackageName=second)
    assert version(client, "Group").endswith("/3")
    assert refused(lambda: client.describe_model_package(ModelPackageName=second))[1].startswith(
        "Could not find model package"
    )
    for arn in (first, f"{first[:-1]}3"):
        client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=group)
    assert client.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_an_unversioned_package_stands_by_itself(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    given = {"ModelPackageName": "Alone", "InferenceSpecification": SPECIFICATION}
    arn = client.create_model_package(**given, Tags=[{"Key": "k", "Value": "v"}])["ModelPackageArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:model-package/alone"
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    package = client.describe_model_package(ModelPackageName="Alone")
    assert "ModelApprovalStatus" not in package
    assert refused(lambda: client.create_model_package(**given)) == (
        "ValidationException", f"ModelPackage already exists: {arn}",
    )  # fmt: skip
    client.delete_model_package(ModelPackageName="Alone")
    assert client.list_model_packages()["ModelPackageSummaryList"] == []


def test_what_cannot_be_a_package_is_refused_and_leaves_nothing(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="g")
    with_environment = {"Containers": [{"Image": IMAGE, "Environment": {"A": "1"}}]}
    sentences = {
        "Both ModelPackageName and ModelPackageGroupName": {"ModelPackageName": "n", "ModelPackageGroupName": "g"},
        "Missing ARN": {},
        "Environment variable map": {"ModelPackageName": "n", "InferenceSpecification": with_environment},
        "InferenceSpecification or": {"ModelPackageName": "n"},
        "Tags": {"ModelPackageGroupName": "g", "Tags": [{"Key": "k", "Value": "v"}]},
        "does not exist": {"ModelPackageGroupName": "none"},
        "Could not find model": {"ModelPackageGroupName": "g", "SourceUri": "arn:aws:sagemaker:us-east-1:1:model/m"},
        "no JSON": {
            "ModelPackageGroupName": "g",
            "ModelCard": {"ModelCardContent": "{", "ModelCardStatus": "Draft"},
        },
        "must be unique": {
            "ModelPackageGroupName": "g",
            "AdditionalInferenceSpecifications": [{"Name": "a", **SPECIFICATION}] * 2,
        },
    }
    for sentence, request in sentences.items():
        code, message = refused(lambda request=request: client.create_model_package(**request))  # type: ignore[misc]
        assert code == "ValidationException"
        assert sentence in message
    role = {"ValidationRole": f"arn:aws:iam::{account}:role/r"}
    job: dict[str, Any] = {
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/i"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/o"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    specification = {**role, "ValidationProfiles": [{"ProfileName": "p", "TransformJobDefinition": job}]}
    code, message = refused(lambda: version(client, "g", ValidationSpecification=specification))
    assert code == "NotImplemented"
    assert client.list_model_packages(ModelPackageType="Both")["ModelPackageSummaryList"] == []


def test_an_update_adds_removes_and_is_announced(aws: Callable[..., Any], account: str) -> None:
    client, events, sqs = aws("sagemaker"), aws("events"), aws("sqs")
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved"]}}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{account}:heard"}])
    client.create_model_package_group(ModelPackageGroupName="g")
    arn = version(client, "g", CustomerMetadataProperties={"a": "1", "b": "2"})
    client.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="good",
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a", "none"],
        AdditionalInferenceSpecificationsToAdd=[{"Name": "fast", **SPECIFICATION}],
        ModelLifeCycle={"Stage": "Staging", "StageStatus": "Ready"},
        ModelCard={"ModelCardContent": json.dumps(CARD), "ModelCardStatus": "Draft"},
    )
    package = client.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly")
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "good")
    assert package["CustomerMetadataProperties"] == {"b": "3", "c": "4"}
    assert [each["Name"] for each in package["AdditionalInferenceSpecifications"]] == ["fast"]
    assert package["ModelLifeCycle"]["Stage"] == "Staging"
    assert json.loads(package["ModelCard"]["ModelCardContent"]) == {
        "model_overview": {"model_id": "m-1"}, "intended_uses": {"risk_rating": "Low"},
    }  # fmt: skip
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["b", "c"])
    assert "CustomerMetadataProperties" not in client.describe_model_package(ModelPackageName=arn)
    again = {"ModelPackageArn": arn, "AdditionalInferenceSpecificationsToAdd": [{"Name": "fast", **SPECIFICATION}]}
    assert "unique" in refused(lambda: client.update_model_package(**again))[1]
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail-type"] == "SageMaker Model Package State Change"
    assert event["detail"]["ModelPackageArn"] == arn
    assert "ModelApprovalStatus" in event["detail"]["UpdatedModelPackageFields"]


def test_packages_are_cloned_and_made_of_models(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="g")
    source = version(client, "g", Domain="COMPUTER_VISION", ModelApprovalStatus="Approved")
    clone = client.create_model_package(ModelPackageGroupName="g", SourceUri=source)["ModelPackageArn"]
    package = client.describe_model_package(ModelPackageName=clone)
    assert package["InferenceSpecification"] == SPECIFICATION
    assert (package["Domain"], package["ModelApprovalStatus"]) == ("COMPUTER_VISION", "PendingManualApproval")
    model = client.create_model(ModelName="M", PrimaryContainer=SPECIFICATION["Containers"][0])["ModelArn"]
    made = client.create_model_package(ModelPackageGroupName="g", SourceUri=model)["ModelPackageArn"]
    assert client.describe_model_package(ModelPackageName=made)["InferenceSpecification"] == SPECIFICATION
    free = client.create_model_package(ModelPackageGroupName="g", SourceUri="s3://b/anything")["ModelPackageArn"]
    assert client.describe_model_package(ModelPackageName=free)["SourceUri"] == "s3://b/anything"
    algorithm = {"SourceAlgorithms": [{"AlgorithmName": "none"}]}
    request = {"ModelPackageGroupName": "g", "SourceAlgorithmSpecification": algorithm}
    assert refused(lambda: client.create_model_package(**request))[0] in {"NotImplemented", "ValidationException"}


def test_lists_honour_their_filters(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    for name in ("apples", "pears"):
        client.create_model_package_group(ModelPackageGroupName=name)
    first, second = version(client, "apples"), version(client, "apples", ModelApprovalStatus="Approved")
    other = version(client, "pears")
    client.create_model_package(ModelPackageName="apple-alone", InferenceSpecification=SPECIFICATION)

    def listed(**query: Any) -> list[str]:
        pages = client.get_paginator("list_model_packages").paginate(**query, PaginationConfig={"PageSize": 1})
        return [each["ModelPackageArn"].partition("/")[2] for page in pages for each in page["ModelPackageSummaryList"]]

    assert listed() == ["apple-alone"]
    assert listed(ModelPackageType="Versioned") == ["apples/1", "apples/2", "pears/1"]
    assert listed(ModelPackageType="Both", NameContains="APPLE", SortBy="Name", SortOrder="Descending") == [
        "apples/2", "apples/1", "apple-alone",
    ]  # fmt: skip
    assert listed(ModelPackageGroupName="apples") == ["apples/1", "apples/2"]
    assert listed(ModelPackageGroupName=f"arn:aws:sagemaker:us-east-1:{account}:model-package-group/pears") == [
        "pears/1"
    ]
    assert listed(ModelPackageGroupName="apples", ModelApprovalStatus="Approved") == ["apples/2"]
    assert listed(ModelPackageType="Both", CreationTimeBefore=0) == []
    groups = client.list_model_package_groups(NameContains="ear", CrossAccountFilterOption="SameAccount")
    assert [each["ModelPackageGroupName"] for each in groups["ModelPackageGroupSummaryList"]] == ["pears"]
    shared = client.list_model_package_groups(CrossAccountFilterOption="CrossAccount")
    assert shared["ModelPackageGroupSummaryList"] == []
    missing = f"{first[:-1]}9"
    batch = client.batch_describe_model_package(ModelPackageArnList=[second, other, missing])
    assert {arn: each["ModelPackageVersion"] for arn, each in batch["ModelPackageSummaries"].items()} == {
        second: 2,
        other: 1,
    }
    assert batch["BatchDescribeModelPackageErrorMap"][missing]["ErrorCode"] == "ValidationException"
    searched = client.search(
        Resource="ModelPackage",
        SearchExpression={"Filters": [{"Name": "ModelApprovalStatus", "Operator": "Equals", "Value": "Approved"}]},
    )["Results"]
    assert [each["ModelPackage"]["ModelPackageArn"] for each in searched] == [second]


def test_a_group_has_a_policy(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="g")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "123456789012"},
        "Action": "sagemaker:Describe*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert (
        "Cannot find resource policy"
        in refused(lambda: client.get_model_package_group_policy(ModelPackageGroupName="g"))[1]
    )
    assert (
        refused(lambda: client.put_model_package_group_policy(ModelPackageGroupName="g", ResourcePolicy="{}"))[0]
        == "ValidationException"
    )
    client.put_model_package_group_policy(ModelPackageGroupName="g", ResourcePolicy=policy)
    assert client.get_model_package_group_policy(ModelPackageGroupName="g")["ResourcePolicy"] == policy
    client.delete_model_package_group_policy(ModelPackageGroupName="g")
    for call in (client.get_model_package_group_policy, client.delete_model_package_group_policy):
        assert "Cannot find resource policy" in refused(lambda call=call: call(ModelPackageGroupName="g"))[1]  # type: ignore[misc]
    assert (
        "Cannot find Model Package Group"
        in refused(lambda: client.get_model_package_group_policy(ModelPackageGroupName="none"))[1]
    )
