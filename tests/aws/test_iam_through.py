"""What one request has done for its signer by another operation needs what that operation needs: stacks, tags, templates, roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.test_iam import TRUST, allow
from tests.aws.test_iam_enforced import enforced, iam, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

__all__ = ["enforced", "iam", "user"]
STACKS = allow("cloudformation:*")


def deny(*actions: str) -> str:
    return allow(list(actions)).replace("Allow", "Deny")


def template(account: str, **properties: Any) -> str:
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    model = {"ExecutionRoleArn": role, "PrimaryContainer": {"Image": "i"}, **properties}
    return json.dumps({"Resources": {"M": {"Type": "AWS::SageMaker::Model", "Properties": model}}})


def outcome(live: LiveServer, account: str, name: str = "s") -> tuple[str, str]:
    """Return a stack's status and the reasons of its events."""
    owner = live.client("cloudformation", account)
    [stack] = [each for each in owner.list_stacks()["StackSummaries"] if each["StackName"] == name]
    events = owner.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    return stack["StackStatus"], " ".join(each.get("ResourceStatusReason", "") for each in events)


@pytest.mark.parametrize(
    ("documents", "status", "reason"),
    [
        ([STACKS, allow("*")], "CREATE_COMPLETE", ""),
        ([STACKS], "ROLLBACK_COMPLETE", "not authorized to perform: sagemaker:CreateModel"),
        ([allow("*"), deny("sagemaker:CreateModel")], "ROLLBACK_COMPLETE", "explicit deny"),
        ([STACKS, allow("sagemaker:*")], "ROLLBACK_COMPLETE", "not authorized to perform: iam:PassRole"),
    ],
)
def test_a_stack_is_judged_by_who_makes_it(
    enforced: LiveServer, user: Callable[..., Any], account: str, documents: list[str], status: str, reason: str
) -> None:
    user(*documents)("cloudformation").create_stack(StackName="s", TemplateBody=template(account))
    made = outcome(enforced, account)
    assert made[0] == status
    assert reason in made[1]


def test_a_stacks_role_must_be_passed(iam: Any, user: Callable[..., Any], account: str) -> None:
    iam.create_role(RoleName="admin", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="admin", PolicyName="p", PolicyDocument=allow("*"))
    admin = f"arn:aws:iam::{account}:role/admin"
    with pytest.raises(ClientError, match=r"not authorized to perform: iam:PassRole on resource: .*role/admin"):
        user(STACKS)("cloudformation").create_stack(StackName="s", TemplateBody=template(account), RoleARN=admin)
    passing = user(STACKS, allow("iam:PassRole", admin), name="bob")("cloudformation")
    passing.create_stack(StackName="s", TemplateBody=template(account), RoleARN=admin)


def test_what_may_not_be_deleted_is_not_said_to_be_gone(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str
) -> None:
    stacks = user(allow("*"))("cloudformation")
    stacks.create_stack(StackName="s", TemplateBody=template(account, ModelName="kept"))
    denied = deny("sagemaker:DeleteModel", "sagemaker:DescribeModel")
    iam.put_user_policy(UserName="ann", PolicyName="d", PolicyDocument=denied)
    stacks.delete_stack(StackName="s")
    assert outcome(enforced, account)[0] == "DELETE_FAILED"
    enforced.client("sagemaker", account).describe_model(ModelName="kept")


def test_a_template_is_read_by_who_names_it(enforced: LiveServer, user: Callable[..., Any], account: str) -> None:
    s3, bucket = enforced.client("s3", account), f"templates-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="t", Body=template(account).encode())
    url = f"https://{bucket}.s3.amazonaws.com/t"
    stacks = user(STACKS)("cloudformation")
    for operation in (stacks.validate_template, stacks.get_template_summary):
        with pytest.raises(ClientError, match="s3:GetObject"):
            operation(TemplateURL=url)
    reader = user(STACKS, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), name="bob")("cloudformation")
    assert reader.get_template_summary(TemplateURL=url)["ResourceTypes"] == ["AWS::SageMaker::Model"]


def test_tags_by_the_tagging_api_need_both_permissions(
    enforced: LiveServer, user: Callable[..., Any], account: str
) -> None:
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    made = enforced.client("sagemaker", account).create_model(
        ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"}
    )
    request = {"ResourceARNList": [made["ModelArn"]], "Tags": {"a": "b"}}
    tagging = user(allow("tag:*"), name="ann")("resourcegroupstaggingapi")
    failed = tagging.tag_resources(**request)["FailedResourcesMap"]
    assert "sagemaker:AddTags" in failed[made["ModelArn"]]["ErrorMessage"]
    other = user(allow("sagemaker:*"), name="bob")("resourcegroupstaggingapi")
    with pytest.raises(ClientError, match="tag:TagResources"):
        other.tag_resources(**request)
    both = user(allow(["tag:*", "sagemaker:AddTags"]), name="eve")("resourcegroupstaggingapi")
    assert both.tag_resources(**request)["FailedResourcesMap"] == {}


def test_a_card_is_exported_by_the_rights_of_who_asks(
    enforced: LiveServer, user: Callable[..., Any], account: str
) -> None:
    bucket = f"cards-{account}"
    enforced.client("s3", account).create_bucket(Bucket=bucket)
    sagemaker = user(allow("sagemaker:*"))("sagemaker")
    sagemaker.create_model_card(ModelCardName="c", Content="{}", ModelCardStatus="Draft")
    place = {"S3OutputPath": f"s3://{bucket}/out"}
    with pytest.raises(ClientError, match="s3:PutObject"):
        sagemaker.create_model_card_export_job(ModelCardName="c", ModelCardExportJobName="e", OutputConfig=place)
