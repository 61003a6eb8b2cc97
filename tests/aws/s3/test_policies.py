"""Bucket policies in force: other accounts, denials, conditions, and what the public access block keeps out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.s3.refusal import error_of, refused
from tests.aws.s3.test_recorded import raw

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "999999999996"


@pytest.fixture
def other(aws: Callable[..., Any]) -> Any:
    """Return an S3 client of another account."""
    return aws("s3", account=OTHER)


def statement(bucket: str, actions: str | list[str], resource: str = "/*", **more: Any) -> dict[str, Any]:
    made = {
        "Effect": "Allow",
        "Principal": {"AWS": OTHER},
        "Action": actions,
        "Resource": f"arn:aws:s3:::{bucket}{resource}",
    }
    return made | more


def attach(s3: Any, bucket: str, *statements: dict[str, Any]) -> None:
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [*statements]}))


def test_a_policy_is_kept_as_it_was_put(s3: Any, bucket: str) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement(bucket, "s3:GetObject")]}, indent=3)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    s3.delete_bucket_policy(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refused(s3.get_bucket_policy_status, Bucket=bucket) == ("NoSuchBucketPolicy", 404)


def test_another_account_may_what_the_policy_says(s3: Any, other: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="open/k", Body=b"open")
    s3.put_object(Bucket=bucket, Key="shut/k", Body=b"shut")
    assert refused(other.get_object, Bucket=bucket, Key="open/k") == ("AccessDenied", 403)
    listing = {"Condition": {"StringEquals": {"s3:prefix": "open/"}}}
    attach(
        s3, bucket, statement(bucket, ["s3:GetObject", "s3:PutObject"], "/open/*"),
        statement(bucket, "s3:ListBucket", "", **listing),
    )  # fmt: skip
    assert other.get_object(Bucket=bucket, Key="open/k")["Body"].read() == b"open"
    assert refused(other.get_object, Bucket=bucket, Key="shut/k") == ("AccessDenied", 403)
    assert [o["Key"] for o in other.list_objects_v2(Bucket=bucket, Prefix="open/")["Contents"]] == ["open/k"]
    assert refused(other.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    other.put_object(Bucket=bucket, Key="open/new", Body=b"theirs")
    assert s3.get_object(Bucket=bucket, Key="open/new")["Body"].read() == b"theirs"
    assert refused(other.put_object, Bucket=bucket, Key="shut/new", Body=b"") == ("AccessDenied", 403)
    assert refused(other.delete_object, Bucket=bucket, Key="open/k") == ("AccessDenied", 403)
    assert refused(other.get_object, Bucket=bucket, Key="open/k", VersionId="null") == ("AccessDenied", 403)
    several = other.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "open/k"}]})
    assert [(e["Key"], e["Code"]) for e in several["Errors"]] == [("open/k", "AccessDenied")]
    assert refused(other.get_bucket_policy, Bucket=bucket) == ("AccessDenied", 403)
    source = {"Bucket": bucket, "Key": "shut/k"}
    copy = {"Bucket": bucket, "Key": "open/c", "CopySource": source}
    assert refused(other.copy_object, **copy) == ("AccessDenied", 403)
    upload = other.create_multipart_upload(Bucket=bucket, Key="open/m")["UploadId"]
    part = other.upload_part(Bucket=bucket, Key="open/m", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    other.complete_multipart_upload(Bucket=bucket, Key="open/m", UploadId=upload, MultipartUpload=parts)
    assert refused(other.get_object, Bucket=bucket, Key="open/none") == ("AccessDenied", 403)  # or it could list so
    attach(s3, bucket, statement(bucket, "s3:GetObject"), statement(bucket, "s3:ListBucket", ""))
    assert refused(other.get_object, Bucket=bucket, Key="open/none") == ("NoSuchKey", 404)
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(other.get_object, Bucket=bucket, Key="open/k") == ("AccessDenied", 403)


def test_a_denial_is_for_the_owner_too(s3: Any, other: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    everybody = {"Principal": "*", "Effect": "Deny"}
    attach(
        s3, bucket, statement(bucket, "s3:*"), statement(bucket, "s3:DeleteObject", **everybody),
        statement(bucket, "s3:*", "", **everybody),
    )  # fmt: skip
    for client in (s3, other):
        assert refused(client.delete_object, Bucket=bucket, Key="kept") == ("AccessDenied", 403)
        assert client.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"
    assert refused(s3.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    s3.delete_bucket_policy(Bucket=bucket)  # nothing locks the account itself out of its policy
    s3.delete_object(Bucket=bucket, Key="kept")


def test_conditions_on_how_it_is_asked(s3: Any, other: Any, bucket: str) -> None:
    def get(**operators: dict[str, str]) -> tuple[str, int] | bytes:
        attach(s3, bucket, statement(bucket, "s3:GetObject", Condition=operators))
        try:
            return bytes(other.get_object(Bucket=bucket, Key="k")["Body"].read())
        except other.exceptions.ClientError as error:
            return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]

    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    denied = ("AccessDenied", 403)
    assert get(Bool={"aws:SecureTransport": "false"}) == b"x"
    assert get(Bool={"aws:SecureTransport": "true"}) == denied
    assert get(IpAddress={"aws:SourceIp": "127.0.0.0/8"}) == b"x"
    assert get(IpAddress={"aws:SourceIp": "10.0.0.0/8"}) == denied
    assert get(StringLike={"aws:UserAgent": "*Boto3*"}) == b"x"
    assert get(StringEquals={"aws:PrincipalAccount": OTHER}) == b"x"


def test_public_policies_are_blocked_until_the_block_goes(s3: Any, other: Any, bucket: str) -> None:
    public = {"Principal": "*", "Action": "s3:GetObject"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    error = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": statement(bucket, "", **public)}
    ))["Error"]  # fmt: skip
    assert error["Code"] == "AccessDenied"
    assert "BlockPublicPolicy" in error["Message"]
    s3.delete_public_access_block(Bucket=bucket)
    assert refused(s3.get_public_access_block, Bucket=bucket) == ("NoSuchPublicAccessBlockConfiguration", 404)
    attach(s3, bucket, statement(bucket, "", **public))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert [name for name, on in block.items() if on] == ["RestrictPublicBuckets"]
    assert refused(other.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Action": "sqs:SendMessage"}, "Policy has invalid action"),
        ({"Resource": "arn:aws:s3:::another/*"}, "Policy has invalid resource"),
        ({"Principal": {"AWS": "nobody"}}, "Invalid principal in policy"),
        ({"Effect": "Perhaps"}, "Invalid effect"),
        ({"Condition": {"Guess": {"aws:SourceIp": "1"}}}, "Policy has an invalid condition"),
        (None, "Policies must be valid JSON and the first byte must be '{'"),
    ],
)
def test_malformed_policies(s3: Any, bucket: str, change: dict[str, Any] | None, said: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [statement(bucket, "s3:GetObject", **(change or {}))]}
    text = json.dumps(document) if change is not None else "{"
    error = error_of(s3.put_bucket_policy, Bucket=bucket, Policy=text)["Error"]
    assert (error["Code"], error["Message"]) == ("MalformedPolicy", said)
    assert refused(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)


def equals(key: str, value: str) -> Any:
    """Write a condition."""
    return {"Condition": {"StringEquals": {key: value}}}


def test_conditions_on_the_tags_that_an_object_has(s3: Any, other: Any, bucket: str) -> None:
    """Of reads, of reads and changes of the tags themselves, of a version, and of a copy's source."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"open", Tagging="security=public&a=b")["VersionId"]
    s3.put_object(Bucket=bucket, Key="shut", Body=b"shut", Tagging="security=private")
    actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:PutObjectTagging"]
    attach(
        s3, bucket, statement(bucket, actions, **equals("s3:ExistingObjectTag/security", "public")),
        statement(bucket, "s3:PutObject", "/copies/*"),
    )  # fmt: skip
    assert other.get_object(Bucket=bucket, Key="k")["Body"].read() == b"open"
    assert other.head_object(Bucket=bucket, Key="k", VersionId=old)["TagCount"] == 2
    assert other.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    other.copy_object(Bucket=bucket, Key="copies/k", CopySource=f"{bucket}/k")
    other.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "security", "Value": "private"}]})
    denied = ("AccessDenied", 403)
    assert refused(other.get_object, Bucket=bucket, Key="k") == denied
    for key in ("shut", "missing"):
        assert refused(other.get_object, Bucket=bucket, Key=key) == denied
    assert refused(other.get_object_tagging, Bucket=bucket, Key="shut") == denied
    assert refused(other.copy_object, Bucket=bucket, Key="copies/s", CopySource=f"{bucket}/shut") == denied
    tags = {"TagSet": [{"Key": "security", "Value": "public"}]}  # what is asked for is not what is there
    assert refused(other.put_object_tagging, Bucket=bucket, Key="shut", Tagging=tags) == denied


def test_a_denial_by_an_objects_tags_holds_for_the_owner(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="hold=yes")
    denial = {"Effect": "Deny", "Principal": "*", **equals("s3:ExistingObjectTag/hold", "yes")}
    attach(s3, bucket, statement(bucket, "s3:GetObject", **denial))
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("AccessDenied", 403)
    assert refused(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k") == ("AccessDenied", 403)


@pytest.mark.parametrize(
    ("key", "wanted", "good", "bad"),
    [
        ("s3:RequestObjectTag/project", "a", {"Tagging": "project=a&x"}, {"Tagging": "project=b"}),
        ("s3:RequestObjectTagKeys", "project", {"Tagging": "project=a"}, {"Tagging": "other=a"}),
        ("s3:x-amz-server-side-encryption-customer-algorithm", "AES256",
         {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, {}),
        ("s3:x-amz-storage-class", "STANDARD_IA", {"StorageClass": "STANDARD_IA"}, {"StorageClass": "GLACIER_IR"}),
        ("s3:x-amz-website-redirect-location", "/x", {"WebsiteRedirectLocation": "/x"}, {"WebsiteRedirectLocation": "/y"}),
        ("s3:if-none-match", "*", {"IfNoneMatch": "*"}, {}),
    ],
)  # fmt: skip
def test_conditions_on_what_a_put_says(
    s3: Any, other: Any, bucket: str, key: str, wanted: str, good: dict[str, str], bad: dict[str, str]
) -> None:
    attach(s3, bucket, statement(bucket, "s3:PutObject", **equals(key, wanted)))
    other.put_object(Bucket=bucket, Key="k", Body=b"1", **good)
    for wrong in (bad, {}):
        assert refused(other.put_object, Bucket=bucket, Key="n", Body=b"1", **wrong) == ("AccessDenied", 403)
    assert refused(other.create_multipart_upload, Bucket=bucket, Key="n") == ("AccessDenied", 403)


def test_conditions_on_copies(s3: Any, other: Any, bucket: str) -> None:
    """The source is read decoded, with or without a slash in front: none of these spellings gets around it."""
    for key in ("public/k", "private/k"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    like: Any = {"Condition": {"StringLike": {"s3:x-amz-copy-source": f"{bucket}/public/*"}}}
    attach(s3, bucket, statement(bucket, "s3:GetObject"), statement(bucket, "s3:PutObject", **like))
    for source in (f"{bucket}/public/k", f"/{bucket}/public/k", f"{bucket}/public%2Fk"):
        assert raw(other, "PUT", f"/{bucket}/c", x_amz_copy_source=source)[0] == 200
    for source in (f"{bucket}/private/k", f"{bucket}/%70rivate/k"):
        assert raw(other, "PUT", f"/{bucket}/c", x_amz_copy_source=source)[0] == 403
    assert refused(other.put_object, Bucket=bucket, Key="n", Body=b"1") == ("AccessDenied", 403)
    attach(s3, bucket, statement(bucket, "s3:GetObject"),
           statement(bucket, "s3:PutObject", **equals("s3:x-amz-metadata-directive", "COPY")))  # fmt: skip
    source = f"{bucket}/public/k"
    other.copy_object(Bucket=bucket, Key="c", CopySource=source, MetadataDirective="COPY")
    for directive in ({"MetadataDirective": "REPLACE"}, {}):
        refusal = refused(other.copy_object, Bucket=bucket, Key="n", CopySource=source, **directive)
        assert refusal == ("AccessDenied", 403)
