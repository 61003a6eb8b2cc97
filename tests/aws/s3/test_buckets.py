"""Buckets: names, owners, regions, and what an unconfigured one says."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.s3.refusal import error_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable


def fresh() -> str:
    return f"n-{uuid.uuid4().hex}"


def test_a_bucket_from_creation_to_deletion(s3: Any) -> None:
    name = fresh()
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [name]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.delete_bucket(Bucket=name)
    assert s3.list_buckets()["Buckets"] == []
    assert refused(s3.delete_bucket, Bucket=name) == ("NoSuchBucket", 404)


def test_head_of_a_missing_bucket_is_404_not_found_without_a_body(s3: Any) -> None:
    error = error_of(s3.head_bucket, Bucket=fresh())
    assert error["Error"] == {"Code": "404", "Message": "Not Found"}


def test_a_full_bucket_is_not_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert refused(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409)


@pytest.mark.parametrize("name", ["ab", "Upper", "under_score", "a..b", "-ab", "192.168.1.1", "xn--abc", "abc-s3alias"])
def test_names_that_no_bucket_may_have(aws: Callable[..., Any], name: str) -> None:
    s3 = aws("s3", s3={"addressing_style": "path"})
    from botocore.handlers import validate_bucket_name

    s3.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    assert refused(s3.create_bucket, Bucket=name) == ("InvalidBucketName", 400)


def test_names_are_global_and_other_accounts_are_denied(s3: Any, aws: Callable[..., Any], bucket: str) -> None:
    other = aws("s3", account="999999999999")
    assert refused(other.create_bucket, Bucket=bucket) == ("BucketAlreadyExists", 409)
    assert refused(other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert refused(other.head_bucket, Bucket=bucket) == ("403", 403)
    assert refused(other.put_object, Bucket=bucket, Key="k", Body=b"x") == ("AccessDenied", 403)
    assert bucket not in [b["Name"] for b in other.list_buckets()["Buckets"]]
    s3.create_bucket(Bucket=bucket)  # us-east-1 answers a repeated creation with success


def test_expected_bucket_owner(s3: Any, bucket: str, account: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner=account)
    wrong = {"Bucket": bucket, "ExpectedBucketOwner": "111111111111"}
    assert refused(s3.get_object, Key="k", **wrong) == ("AccessDenied", 403)
    assert refused(s3.put_object, Key="k", Body=b"y", **wrong) == ("AccessDenied", 403)
    assert refused(s3.head_bucket, **wrong) == ("403", 403)
    source = {"Bucket": bucket, "Key": "k"}
    copy = {"Bucket": bucket, "Key": "c", "CopySource": source, "ExpectedSourceBucketOwner": "111111111111"}
    assert refused(s3.copy_object, **copy) == ("AccessDenied", 403)


def test_regions(aws: Callable[..., Any]) -> None:
    frankfurt, virginia = aws("s3", region="eu-central-1"), aws("s3")
    here = {"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}}
    name = fresh()
    assert refused(frankfurt.create_bucket, Bucket=name) == ("IllegalLocationConstraintException", 400)
    frankfurt.create_bucket(Bucket=name, **here)
    assert refused(frankfurt.create_bucket, Bucket=name, **here) == ("BucketAlreadyOwnedByYou", 409)
    assert virginia.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    virginia.put_object(Bucket=name, Key="k", Body=b"from afar")
    assert frankfurt.get_object(Bucket=name, Key="k")["Body"].read() == b"from afar"
    assert virginia.head_bucket(Bucket=name)["BucketRegion"] == "eu-central-1"
    buckets = virginia.list_buckets(BucketRegion="eu-central-1")["Buckets"]
    assert [(b["Name"], b["BucketRegion"]) for b in buckets] == [(name, "eu-central-1")]


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    names = sorted(fresh() for _ in range(5))
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Buckets"]) for page in pages] == [2, 2, 1]
    assert [b["Name"] for page in pages for b in page["Buckets"]] == names
    assert refused(s3.list_buckets, ContinuationToken="nonsense") == ("InvalidArgument", 400)


def test_what_an_unconfigured_bucket_says(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    for call, code in [
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_tagging, "NoSuchTagSet"),
    ]:
        assert refused(call, Bucket=bucket) == (code, 404)


def test_what_is_not_built_says_so(s3: Any, bucket: str) -> None:
    website = {"IndexDocument": {"Suffix": "index.html"}}
    assert refused(s3.put_bucket_website, Bucket=bucket, WebsiteConfiguration=website) == ("NotImplemented", 501)
    hold = {"Bucket": bucket, "Key": "k", "Body": b"x", "ObjectLockLegalHoldStatus": "ON"}
    assert refused(s3.put_object, **hold) == ("NotImplemented", 501)
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    given = {"Bucket": bucket, "OwnershipControls": controls}
    assert refused(s3.put_bucket_ownership_controls, **given) == ("NotImplemented", 501)
    public = {"Bucket": bucket, "Key": "k", "Body": b"x", "ACL": "public-read"}
    assert refused(s3.put_object, **public) == ("AccessControlListNotSupported", 400)


def test_what_the_model_forbids_is_an_invalid_argument(s3: Any, bucket: str) -> None:
    beyond = {"CreateBucketConfiguration": {"LocationConstraint": "moon-1"}}
    assert refused(s3.create_bucket, Bucket=fresh(), **beyond) == ("MalformedXML", 400)
    assert refused(s3.list_objects_v2, Bucket=bucket, EncodingType="base64") == ("InvalidArgument", 400)
