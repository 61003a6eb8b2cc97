"""STS through boto3, with IAM off: who is who, and credentials that carry it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.test_iam import TRUST, allow, refused, signed_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer


@pytest.fixture
def sts(aws: Callable[..., Any]) -> Any:
    return aws("sts")


def test_a_session_is_its_roles(server: LiveServer, aws: Callable[..., Any], sts: Any, account: str) -> None:
    role = aws("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=7200)["Role"]
    given = {"RoleArn": role["Arn"], "RoleSessionName": "me"}
    opened = sts.assume_role(**given, DurationSeconds=7200, SourceIdentity="ann")
    assert opened["AssumedRoleUser"]["AssumedRoleId"] == f"{role['RoleId']}:me"
    assert opened["SourceIdentity"] == "ann"
    key = opened["Credentials"]
    theirs = signed_by(server, key, "sts", key["SessionToken"])
    who = theirs.get_caller_identity()
    assert (who["UserId"], who["Arn"]) == (f"{role['RoleId']}:me", f"arn:aws:sts::{account}:assumed-role/r/me")
    too_long = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    assert refused(lambda: sts.assume_role(**given, DurationSeconds=7201)) == ("ValidationError", too_long, 400)
    assert "role chaining" in refused(lambda: theirs.assume_role(**given, DurationSeconds=7200))[1]
    assert refused(theirs.get_session_token)[0] == "AccessDenied"
    assert sts.get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == account
    assert sts.get_access_key_info(AccessKeyId="AKIAIOSFODNN7EXAMPLE")["Account"] == "000000000000"
    assert refused(lambda: sts.get_access_key_info(AccessKeyId="ASIALMNEVERISSUEDAAA"))[0] == "ValidationError"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"Policy": allow("s3:GetObject", Sid="a b")}, "MalformedPolicyDocument"),
        ({"Policy": allow("s3:" + "x" * 2048)}, "PackedPolicyTooLarge"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicy"}]}, "NoSuchEntity"),
    ],
)
def test_a_wrong_session_policy_opens_nothing(sts: Any, account: str, given: dict[str, Any], code: str) -> None:
    role = f"arn:aws:iam::{account}:role/any"
    assert refused(lambda: sts.assume_role(RoleArn=role, RoleSessionName="me", **given))[0] == code


def test_a_role_is_an_arn(sts: Any) -> None:
    wrong = {"RoleArn": "arn:aws:s3:::a-bucket-not-a-role", "RoleSessionName": "me"}
    assert refused(lambda: sts.assume_role(**wrong))[0] == "ValidationError"


def test_mfa_is_not_there(sts: Any, account: str) -> None:
    mfa = {"SerialNumber": f"arn:aws:iam::{account}:mfa/me", "TokenCode": "123456"}
    role = {"RoleArn": f"arn:aws:iam::{account}:role/any", "RoleSessionName": "me"}
    assert refused(lambda: sts.assume_role(**role, **mfa))[::2] == ("NotImplemented", 501)
    assert refused(lambda: sts.get_session_token(**mfa))[::2] == ("NotImplemented", 501)


def test_a_users_token_is_his(server: LiveServer, aws: Callable[..., Any], account: str) -> None:
    iam = aws("iam")
    user = iam.create_user(UserName="ann")["User"]
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    token = signed_by(server, key, "sts").get_session_token(DurationSeconds=900)["Credentials"]
    theirs = signed_by(server, token, "sts", token["SessionToken"])
    assert theirs.get_caller_identity()["Arn"] == user["Arn"]
    federated = signed_by(server, key, "sts").get_federation_token(
        Name="bea", Policy=json.dumps(json.loads(allow("s3:*")))
    )
    key = federated["Credentials"]
    who = signed_by(server, key, "sts", key["SessionToken"]).get_caller_identity()
    assert (who["UserId"], who["Arn"]) == (f"{account}:bea", f"arn:aws:sts::{account}:federated-user/bea")
