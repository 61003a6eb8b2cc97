"""LOCALMAKER_IAM=enforce: a bucket's policy and its callers' policies decide together, within an account and across."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from api_specs.ledger import ledger
from tests.aws.test_iam import allow, refused, signed_by
from tests.aws.test_iam_enforced import enforced, iam, user  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

pytestmark = pytest.mark.skipif(
    ledger()["s3"]["PutBucketPolicy"].state == "refused", reason="bucket policies are not built"
)


def put_policy(owner: Any, bucket: str, effect: str, principal: str, action: str) -> None:
    arn = f"arn:aws:s3:::{bucket}"
    statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": [arn, f"{arn}/*"]}
    owner.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def filled(owner: Any, account: str) -> str:
    bucket = f"shared-{account}"
    owner.create_bucket(Bucket=bucket)
    owner.put_object(Bucket=bucket, Key="k", Body=b"x")
    return bucket


def test_within_an_account_either_allows(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str  # noqa: F811
) -> None:  # fmt: skip
    owner, arn = enforced.client("s3", account), f"arn:aws:iam::{account}:user/ann"
    bucket = filled(owner, account)
    get = partial(user(name="ann")("s3").get_object, Bucket=bucket, Key="k")
    assert "no identity-based policy" in refused(get)[1]
    put_policy(owner, bucket, "Allow", arn, "s3:*")
    assert get()["Body"].read() == b"x"
    put_policy(owner, bucket, "Allow", account, "s3:*")  # leaves it to the account
    assert "no identity-based policy" in refused(get)[1]
    iam.put_user_policy(UserName="ann", PolicyName="s", PolicyDocument=allow("s3:*"))
    assert get()["Body"].read() == b"x"
    put_policy(owner, bucket, "Deny", arn, "s3:*")
    assert refused(get)[1].endswith("with an explicit deny in a resource-based policy")


def test_across_accounts_both_must_allow(enforced: LiveServer, account: str) -> None:  # noqa: F811
    owner, other = enforced.client("s3", account), str(int(account) + 600_000_000_000)
    bucket, theirs = filled(owner, account), enforced.client("iam", other)
    theirs.create_user(UserName="eve")
    eve = signed_by(enforced, theirs.create_access_key(UserName="eve")["AccessKey"], "s3")
    get = partial(eve.get_object, Bucket=bucket, Key="k")
    assert "no resource-based policy" in refused(get)[1]
    put_policy(owner, bucket, "Allow", other, "s3:GetObject")
    assert "no identity-based policy" in refused(get)[1]
    theirs.put_user_policy(UserName="eve", PolicyName="s", PolicyDocument=allow("s3:*"))
    assert get()["Body"].read() == b"x"
    assert refused(lambda: eve.put_object(Bucket=bucket, Key="k", Body=b"y"))[0] == "AccessDenied"


def test_a_users_policy_is_judged_by_an_objects_tags(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str  # noqa: F811
) -> None:  # fmt: skip
    """Those that it has, of a copy's source too, and those that a put brings."""
    owner, ann = enforced.client("s3", account), user(name="ann")("s3")
    bucket = filled(owner, account)
    owner.put_object(Bucket=bucket, Key="open", Body=b"x", Tagging="a=b")
    conditions = {"s3:GetObject": "s3:ExistingObjectTag/a", "s3:PutObject": "s3:x-amz-metadata-directive",
                  "s3:PutObjectTagging": "s3:RequestObjectTag/a"}  # fmt: skip
    values = {"s3:PutObject": ["COPY"]}
    statements = [
        {
            "Effect": "Allow",
            "Action": action,
            "Resource": "*",
            "Condition": {"StringEquals": {key: values.get(action, "b")}},
        }
        for action, key in conditions.items()
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="ann", PolicyName="s", PolicyDocument=document)
    assert ann.get_object(Bucket=bucket, Key="open")["Body"].read() == b"x"
    copied = {"Bucket": bucket, "Key": "c", "MetadataDirective": "COPY"}
    ann.copy_object(**copied, CopySource=f"{bucket}/open")
    ann.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    owner.put_object(Bucket=bucket, Key="k", Body=b"x")
    wrong = {"TagSet": [{"Key": "a", "Value": "c"}]}
    for call in (
        lambda: ann.get_object(Bucket=bucket, Key="k"),
        lambda: ann.copy_object(**copied, CopySource=f"{bucket}/k"),
        lambda: ann.put_object(Bucket=bucket, Key="n", Body=b"1"),
        lambda: ann.put_object_tagging(Bucket=bucket, Key="k", Tagging=wrong),
    ):
        assert refused(call)[0] == "AccessDenied"
