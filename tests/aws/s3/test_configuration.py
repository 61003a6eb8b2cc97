"""What a bucket is set to beside what has tests of its own: tags, ownership, ACLs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.s3.refusal import refused


def test_bucket_tags(s3: Any, bucket: str) -> None:
    tags = [{"Key": "team", "Value": "ml"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    for wrong in ([tags[0], tags[0]], [{"Key": "aws:x", "Value": ""}]):
        assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": wrong})[1] == 400
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": many}) == ("BadRequest", 400)
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == ("NoSuchTagSet", 404)


def test_a_bucket_is_born_with_tags(s3: Any, account: str) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    s3.create_bucket(Bucket=f"tagged-{account}", CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket=f"tagged-{account}")["TagSet"] == tags


def test_a_bucket_enforces_its_owner(s3: Any, bucket: str) -> None:
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == enforced
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    owner = s3.list_buckets()["Owner"]["ID"]
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        (grant,) = acl["Grants"]
        assert (acl["Owner"]["ID"], grant["Grantee"]["ID"], grant["Permission"]) == (owner, owner, "FULL_CONTROL")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")
    unsupported = ("AccessControlListNotSupported", 400)
    assert refused(s3.put_object_acl, Bucket=bucket, Key="k", ACL="public-read") == unsupported
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == unsupported
    assert refused(s3.put_bucket_acl, Bucket=bucket, GrantRead="uri=x") == unsupported
    policy = {"Owner": {"ID": owner}, "Grants": []}
    assert refused(s3.put_bucket_acl, Bucket=bucket, AccessControlPolicy=policy) == unsupported
    assert refused(s3.put_object_acl, Bucket=bucket, Key="none", ACL="private") == ("NoSuchKey", 404)


def test_settings_do_not_touch_each_other(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    s3.delete_bucket_tagging(Bucket=bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ],
)
def test_what_no_bucket_has(s3: Any, bucket: str, call: str, code: str) -> None:
    assert refused(getattr(s3, call), Bucket=bucket) == (code, 404)


def test_another_account_sees_nothing_of_it(aws: Any, s3: Any, bucket: str) -> None:
    other = aws("s3", account="999999999995")
    for call in (
        other.get_bucket_versioning, other.get_bucket_tagging, other.get_bucket_encryption, other.get_bucket_acl,
        other.get_public_access_block, other.get_bucket_notification_configuration, other.list_object_versions,
        other.get_bucket_lifecycle_configuration, other.get_bucket_cors,
    ):  # fmt: skip
        assert refused(call, Bucket=bucket) == ("AccessDenied", 403)
    status = {"Status": "Enabled"}
    denied = ("AccessDenied", 403)
    assert refused(other.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=status) == denied
    assert refused(other.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration={}) == denied
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
