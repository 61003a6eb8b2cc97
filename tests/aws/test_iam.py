"""IAM through boto3: what is made is kept, what is wrong is refused with IAM's sentences."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
SAGEMAKER = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"


def allow(action: Any, resource: Any = "*", **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Callable[[], Any]) -> tuple[str, str, int]:
    """Return code, message and status of the error that a call must raise."""
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def signed_by(server: LiveServer, key: dict[str, Any], service: str, token: str | None = None) -> Any:
    """Return a client that signs with an issued key."""
    session = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], token, region_name="us-east-1")
    return session.client(service, endpoint_url=server.url)


@pytest.fixture
def iam(aws: Callable[..., Any]) -> Any:
    return aws("iam")


def test_the_sdks_default_role_is_made_step_by_step(iam: Any) -> None:
    """get_execution_role(use_default=True): GetRole, CreateRole, AttachRolePolicy, GetRole."""
    name = "AmazonSageMaker-DefaultRole"
    assert refused(lambda: iam.get_role(RoleName=name)) == (
        "NoSuchEntity",
        f"The role with name {name} cannot be found.",
        404,
    )
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName=name, PolicyArn=SAGEMAKER)
    role = iam.get_role(RoleName=name)["Role"]
    assert role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonSageMakerFullAccess", "PolicyArn": SAGEMAKER}]


def test_a_role_that_the_v3_sdk_checks_is_there_unless_somebody_deleted_it(iam: Any, account: str) -> None:
    arn = f"arn:aws:iam::{account}:role/service-role/FromMyAccount"
    actions = ["sagemaker:CreateTrainingJob", "ecr:GetAuthorizationToken", "logs:PutLogEvents"]
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=arn, ActionNames=actions, PaginationConfig={"PageSize": 2}
    )
    results = [(page["IsTruncated"], r["EvalActionName"], r["EvalDecision"]) for page in pages for r in page["EvaluationResults"]]  # fmt: skip
    assert results == [(True, actions[0], "allowed"), (True, actions[1], "allowed"), (False, actions[2], "allowed")]
    role = iam.get_role(RoleName="FromMyAccount")["Role"]
    assert role["Arn"] == arn
    assert {"Service": "sagemaker.amazonaws.com"} in [
        s["Principal"] for s in role["AssumeRolePolicyDocument"]["Statement"]
    ]
    iam.delete_role(RoleName="FromMyAccount")
    gone = {"PolicySourceArn": arn, "ActionNames": actions}
    assert refused(lambda: iam.simulate_principal_policy(**gone))[0] == "NoSuchEntity"
    assert refused(lambda: iam.get_role(RoleName="FromMyAccount"))[0] == "NoSuchEntity"
    other = gone | {"PolicySourceArn": "arn:aws:iam::999999999999:role/Theirs"}
    assert refused(lambda: iam.simulate_principal_policy(**other))[0] == "InvalidInput"


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "This policy contains invalid Json"),
        (allow("sts:AssumeRole"), "Has prohibited field Resource"),
        (
            '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole"}}',
            "Missing required field Principal",
        ),
    ],
)
def test_a_malformed_trust_changes_nothing(iam: Any, document: str, sentence: str) -> None:
    made = {"RoleName": "r", "AssumeRolePolicyDocument": document}
    assert refused(lambda: iam.create_role(**made)) == ("MalformedPolicyDocument", sentence, 400)
    assert refused(lambda: iam.get_role(RoleName="r"))[0] == "NoSuchEntity"


def test_names_differ_in_more_than_case(iam: Any) -> None:
    iam.create_role(RoleName="Mine", AssumeRolePolicyDocument=TRUST)
    for name in ("Mine", "MINE"):
        made = {"RoleName": name, "AssumeRolePolicyDocument": TRUST}
        assert refused(partial(iam.create_role, **made))[::2] == ("EntityAlreadyExists", 409)


def test_roles_change(iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "1"}], Path="/x/")
    iam.update_role(RoleName="r", Description="new", MaxSessionDuration=7200)
    iam.tag_role(RoleName="r", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": "3"}])
    iam.untag_role(RoleName="r", TagKeys=["b"])
    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"], role["Path"]) == ("new", 7200, "/x/")
    assert role["Tags"] == iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "A", "Value": "2"}]
    assert [r["RoleName"] for r in iam.list_roles(PathPrefix="/x/")["Roles"]] == ["r"]
    linked = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")["Role"]
    assert linked["Path"] == "/aws-service-role/autoscaling.amazonaws.com/"
    again = partial(iam.create_service_linked_role, AWSServiceName="autoscaling.amazonaws.com")
    assert refused(again)[0] == "InvalidInput"
    assert refused(lambda: iam.delete_role(RoleName=linked["RoleName"]))[0] == "UnmodifiableEntity"
    task = iam.delete_service_linked_role(RoleName=linked["RoleName"])["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refused(lambda: iam.delete_service_linked_role(RoleName="r"))[0] == "NoSuchEntity"


def test_users_and_their_keys(server: LiveServer, iam: Any, account: str) -> None:
    user = iam.create_user(UserName="ann", Path="/team/")["User"]
    assert user["Arn"] == f"arn:aws:iam::{account}:user/team/ann"
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    sts = signed_by(server, key, "sts")
    assert sts.get_caller_identity()["Arn"] == user["Arn"]
    assert sts.get_caller_identity()["UserId"] == user["UserId"]
    hers = signed_by(server, key, "iam")
    assert hers.get_user()["User"]["UserName"] == "ann"
    assert [k["Status"] for k in hers.list_access_keys()["AccessKeyMetadata"]] == ["Active"]
    iam.create_access_key(UserName="ann")
    message = "Cannot exceed quota for AccessKeysPerUser: 2"
    assert refused(lambda: iam.create_access_key(UserName="ann")) == ("LimitExceeded", message, 409)
    assert refused(lambda: iam.delete_user(UserName="ann"))[1] == "Cannot delete entity, must delete access keys first."
    assert refused(iam.create_access_key)[1] == "Must specify userName when calling with non-User credentials"

    for status in ("Inactive", "Active"):
        iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status=status)
        if status == "Inactive":
            assert refused(sts.get_caller_identity)[::2] == ("InvalidClientTokenId", 403)
    assert sts.get_caller_identity()["Account"] == account
    iam.update_user(UserName="ann", NewUserName="bea", NewPath="/")
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{account}:user/bea"
    for each in iam.list_access_keys(UserName="bea")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="bea", AccessKeyId=each["AccessKeyId"])
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    assert refused(lambda: iam.delete_access_key(UserName="bea", AccessKeyId=key["AccessKeyId"]))[0] == "NoSuchEntity"
    iam.delete_user(UserName="bea")
    assert iam.list_users()["Users"] == []


def test_managed_policies_and_their_versions(iam: Any, account: str) -> None:
    made = iam.create_policy(PolicyName="p", PolicyDocument=allow("s3:GetObject"), Description="d")["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{account}:policy/p"
    assert refused(lambda: iam.create_policy(PolicyName="p", PolicyDocument=allow("s3:*")))[0] == "EntityAlreadyExists"
    assert (
        refused(lambda: iam.create_policy(PolicyName="q", PolicyDocument=allow("Get")))[0] == "MalformedPolicyDocument"
    )
    for number in range(2, 6):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow(f"s3:Get{number}"), SetAsDefault=number == 3)
    assert refused(lambda: iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*")))[0] == "LimitExceeded"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [v["VersionId"] for v in versions if v["IsDefaultVersion"]] == ["v3"]
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    added = iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"))["PolicyVersion"]
    assert added["VersionId"] == "v6"
    assert refused(lambda: iam.delete_policy_version(PolicyArn=arn, VersionId="v3"))[0] == "DeleteConflict"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v6")
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v6")["PolicyVersion"]
    assert (shown["Document"], shown["IsDefaultVersion"]) == (json.loads(allow("s3:*")), True)

    iam.create_user(UserName="u")
    iam.attach_user_policy(UserName="u", PolicyArn=arn)
    iam.create_group(GroupName="g")
    iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    assert [u["UserName"] for u in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == ["u"]
    assert refused(lambda: iam.delete_policy(PolicyArn=arn))[1] == "Cannot delete a policy attached to entities."
    assert [p["PolicyName"] for p in iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]] == ["p"]
    iam.detach_user_policy(UserName="u", PolicyArn=arn)
    iam.delete_user_permissions_boundary(UserName="u")
    assert "more than one version" in refused(lambda: iam.delete_policy(PolicyArn=arn))[1]
    for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not each["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=each["VersionId"])
    iam.delete_policy(PolicyArn=arn)
    assert refused(lambda: iam.get_policy(PolicyArn=arn))[0] == "NoSuchEntity"


def test_awss_own_policies_are_known_with_their_text(iam: Any) -> None:
    policy = iam.get_policy(PolicyArn=SAGEMAKER)["Policy"]
    shown = iam.get_policy_version(PolicyArn=SAGEMAKER, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert "sagemaker:*" in shown["Document"]["Statement"][0]["Action"]
    listed = [p["Arn"] for page in iam.get_paginator("list_policies").paginate(Scope="AWS") for p in page["Policies"]]
    assert SAGEMAKER in listed
    assert len(listed) == len(set(listed)) > 1000
    assert refused(lambda: iam.delete_policy(PolicyArn=SAGEMAKER))[0] == "AccessDenied"
    unknown = {"RoleName": "SageMakerExecutionRole", "PolicyArn": "arn:aws:iam::aws:policy/NoSuchPolicy"}
    sentence = "Policy arn:aws:iam::aws:policy/NoSuchPolicy does not exist or is not attachable."
    assert refused(lambda: iam.attach_role_policy(**unknown)) == ("NoSuchEntity", sentence, 404)
    assert (
        refused(lambda: iam.attach_role_policy(**unknown | {"PolicyArn": "arn:aws:s3:::bucket-of-mine"}))[0]
        == "InvalidInput"
    )


def test_inline_policies_groups_and_profiles(iam: Any) -> None:
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="u")
    assert [u["UserName"] for u in iam.get_group(GroupName="g")["Users"]] == ["u"]
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName="u")["Groups"]] == ["g"]
    for noun, name in (("user", "u"), ("group", "g")):
        given = {f"{noun.capitalize()}Name": name, "PolicyName": "inline"}
        getattr(iam, f"put_{noun}_policy")(PolicyDocument=allow("s3:*"), **given)
        assert getattr(iam, f"get_{noun}_policy")(**given)["PolicyDocument"] == json.loads(allow("s3:*"))
        assert getattr(iam, f"list_{noun}_policies")(**{f"{noun.capitalize()}Name": name})["PolicyNames"] == ["inline"]
    assert (
        refused(lambda: iam.delete_group(GroupName="g"))[1]
        == "Cannot delete entity, must remove users from group first."
    )
    assert refused(lambda: iam.delete_user(UserName="u"))[1] == "Cannot delete entity, must delete policies first."
    details = iam.get_account_authorization_details()
    assert [(u["UserName"], u["GroupList"]) for u in details["UserDetailList"]] == [("u", ["g"])]
    assert details["GroupDetailList"][0]["GroupPolicyList"][0]["PolicyDocument"] == json.loads(allow("s3:*"))
    assert [r["RoleName"] for r in details["RoleDetailList"]] == ["SageMakerExecutionRole"]
    assert SAGEMAKER in [p["Arn"] for p in details["Policies"]]
    pages = iam.get_paginator("get_account_authorization_details").paginate(
        Filter=["User", "Role"], PaginationConfig={"PageSize": 1}
    )
    assert [len(page["UserDetailList"]) + len(page["RoleDetailList"]) for page in pages] == [1, 1]
    iam.update_group(GroupName="g", NewGroupName="h", NewPath="/x/")
    assert [g["Arn"].partition(":group")[2] for g in iam.list_groups_for_user(UserName="u")["Groups"]] == ["/x/h"]
    iam.update_group(GroupName="h", NewGroupName="g")
    iam.remove_user_from_group(GroupName="g", UserName="u")
    iam.delete_group_policy(GroupName="g", PolicyName="inline")
    iam.delete_group(GroupName="g")
    assert iam.list_groups()["Groups"] == []

    iam.create_instance_profile(InstanceProfileName="p")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")
    assert iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Roles"][0]["RoleName"] == "r"
    assert refused(lambda: iam.delete_role(RoleName="r"))[0] == "DeleteConflict"
    assert refused(lambda: iam.delete_instance_profile(InstanceProfileName="p"))[0] == "DeleteConflict"
    assert len(iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]) == 1
    iam.remove_role_from_instance_profile(InstanceProfileName="p", RoleName="r")
    iam.delete_instance_profile(InstanceProfileName="p")


def test_the_account(iam: Any, account: str) -> None:
    iam.create_account_alias(AccountAlias=f"team-{account}")
    assert iam.list_account_aliases()["AccountAliases"] == [f"team-{account}"]
    iam.create_user(UserName="u")
    counts = iam.get_account_summary()["SummaryMap"]
    assert (counts["Users"], counts["Roles"], counts["AccessKeysPerUserQuota"]) == (1, 1, 2)
    iam.delete_account_alias(AccountAlias=f"team-{account}")
    assert refused(lambda: iam.delete_account_alias(AccountAlias=f"team-{account}"))[0] == "NoSuchEntity"


def test_pages_together_are_the_whole(iam: Any) -> None:
    names = [f"u{number}" for number in range(7)]
    for name in names:
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Users"]) for page in pages] == [3, 3, 1]
    assert [user["UserName"] for page in pages for user in page["Users"]] == names


def test_documents_have_their_limits(iam: Any) -> None:
    long = allow([f"s3:Get{number:04}" for number in range(700)])
    assert refused(lambda: iam.create_policy(PolicyName="p", PolicyDocument=long)) == (
        "LimitExceeded",
        "Cannot exceed quota for PolicySize: 6144",
        409,
    )
    iam.create_user(UserName="u")
    inline = {"UserName": "u", "PolicyName": "p", "PolicyDocument": long}
    sentence = "Maximum policy size of 2048 bytes exceeded for user u"
    assert refused(lambda: iam.put_user_policy(**inline)) == ("LimitExceeded", sentence, 409)
    assert iam.list_user_policies(UserName="u")["PolicyNames"] == []


def test_simulations_evaluate(iam: Any, account: str) -> None:
    iam.create_user(UserName="u")
    policy = allow(
        "s3:GetObject", "arn:aws:s3:::${aws:username}/*", Condition={"Bool": {"aws:SecureTransport": "true"}}
    )
    iam.put_user_policy(UserName="u", PolicyName="mine", PolicyDocument=policy)
    arn = f"arn:aws:iam::{account}:user/u"
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]
    assert keys == ["aws:securetransport", "aws:username"]
    entries = [
        {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": ["true"], "ContextKeyType": "boolean"},
        {"ContextKeyName": "aws:username", "ContextKeyValues": ["u"], "ContextKeyType": "string"},
    ]
    requested: dict[str, Any] = {
        "PolicySourceArn": arn,
        "ActionNames": ["s3:GetObject", "s3:PutObject"],
        "ResourceArns": ["arn:aws:s3:::u/k", "arn:aws:s3:::v/k"],
    }
    results = iam.simulate_principal_policy(**requested, ContextEntries=entries)["EvaluationResults"]
    assert [r["EvalDecision"] for r in results] == ["allowed", "implicitDeny", "implicitDeny", "implicitDeny"]
    assert results[0]["MatchedStatements"][0]["SourcePolicyId"] == "user_u_mine"
    results = iam.simulate_principal_policy(**requested)["EvaluationResults"]
    assert results[0]["EvalDecision"] == "implicitDeny"
    assert results[0]["MissingContextValues"] == ["aws:securetransport", "aws:username"]

    denied = json.loads(policy)
    denied["Statement"][0]["Effect"] = "Deny"
    custom = iam.simulate_custom_policy(
        PolicyInputList=[allow("*"), allow("s3:*")], PermissionsBoundaryPolicyInputList=[allow("iam:*")],
        ActionNames=["s3:GetObject", "iam:GetUser"],
    )["EvaluationResults"]  # fmt: skip
    assert [r["EvalDecision"] for r in custom] == ["implicitDeny", "allowed"]
    assert [r["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"] for r in custom] == [False, True]
    bad = {"PolicyInputList": ["{"], "ActionNames": ["s3:GetObject"]}
    assert refused(lambda: iam.simulate_custom_policy(**bad))[0] == "InvalidInput"
    nameless = {
        "PolicyInputList": [allow("*")],
        "ActionNames": ["s3:GetObject"],
        "ContextEntries": [{"ContextKeyType": "string"}],
    }
    assert refused(lambda: iam.simulate_custom_policy(**nameless))[0] == "InvalidInput"
    assert (
        refused(lambda: iam.simulate_custom_policy(PolicyInputList=[allow("*")], ActionNames=["s3x"]))[0]
        == "InvalidInput"
    )


def test_iam_outlives_the_server(tmp_path: Path, account: str) -> None:
    live = LiveServer(tmp_path / "data")
    live.start()
    try:
        iam = live.client("iam", account)
        iam.create_user(UserName="u")
        key = iam.create_access_key(UserName="u")["AccessKey"]
        arn = iam.create_policy(PolicyName="p", PolicyDocument=allow("s3:*"))["Policy"]["Arn"]
        iam.attach_user_policy(UserName="u", PolicyArn=arn)
        iam.delete_role(RoleName="SageMakerExecutionRole")
        live.kill()
        live.start()
        iam = signed_by(live, key, "iam")
        assert iam.list_attached_user_policies(UserName="u")["AttachedPolicies"][0]["PolicyArn"] == arn
        assert refused(lambda: iam.get_role(RoleName="SageMakerExecutionRole"))[0] == "NoSuchEntity"
    finally:
        live.kill()
