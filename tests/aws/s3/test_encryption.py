"""Encryption headers, a bucket's default, and customers' keys, which really encrypt."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.s3.refusal import refused
from tests.aws.s3.test_multipart import PART, begin, complete
from tests.aws.s3.test_objects import pattern
from tests.site import Site, channel

if TYPE_CHECKING:
    from tests.conftest import LiveServer

KEY, OTHER = b"k" * 32, b"o" * 32
CUSTOMER: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
THEIRS: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": OTHER}
KMS = "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"


def on_disk(server: LiveServer) -> bytes:
    """Return everything that the store and the database hold."""
    files = [*server.data_dir.glob("objects/blobs/*/*"), *server.data_dir.glob("state.db*")]
    return b"".join(path.read_bytes() for path in files)


def test_what_is_asked_is_kept_and_said(s3: Any, bucket: str, account: str) -> None:
    arn = f"arn:aws:kms:us-east-1:{account}:key/"
    requested = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "abc", "BucketKeyEnabled": True}
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **requested)
    wanted = ("aws:kms", f"{arn}abc", True)
    assert tuple(made[name] for name in KMS) == wanted
    assert tuple(s3.head_object(Bucket=bucket, Key="k")[name] for name in KMS) == wanted
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    own = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    assert own.startswith(arn)
    wrong = {"ServerSideEncryption": "AES256", "SSEKMSKeyId": "abc"}
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **wrong) == ("InvalidArgument", 400)


def test_the_default_of_a_bucket_is_applied(s3: Any, bucket: str) -> None:
    def put(rule: dict[str, Any]) -> None:
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    key = "arn:aws:kms:us-east-1:123456789012:key/abc"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    put({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True})
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == default
    made = [
        s3.put_object(Bucket=bucket, Key="k", Body=b"x"),
        s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/before"),
        s3.create_multipart_upload(Bucket=bucket, Key="m"),
        s3.head_object(Bucket=bucket, Key="c"),
    ]
    assert [tuple(each[name] for name in KMS) for each in made] == [("aws:kms", key, True)] * 4
    assert s3.head_object(Bucket=bucket, Key="before")["ServerSideEncryption"] == "AES256"
    given = {"Bucket": bucket, "Key": "k", "Body": b"x", "ServerSideEncryption": "AES256"}
    assert "SSEKMSKeyId" not in s3.put_object(**given)
    s3.delete_bucket_encryption(Bucket=bucket)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    with pytest.raises(s3.exceptions.ClientError, match="InvalidArgument"):
        put({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": key}})


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_a_customers_key_encrypts(server: LiveServer, s3: Any, bucket: str, size: int) -> None:
    data = b"plain text of a customer " * (size // 25)
    md5 = base64.b64encode(hashlib.md5(KEY).digest()).decode()
    made = s3.put_object(Bucket=bucket, Key="k", Body=data, **CUSTOMER)
    assert (made["SSECustomerAlgorithm"], made["SSECustomerKeyMD5"]) == ("AES256", md5)
    assert "ServerSideEncryption" not in made
    assert b"plain text of a customer" not in on_disk(server)
    got = s3.get_object(Bucket=bucket, Key="k", **CUSTOMER)
    assert (got["Body"].read(), got["SSECustomerKeyMD5"], got["ContentLength"]) == (data, md5, len(data))
    if data:
        for first, last in ((0, 0), (5, 40), (17, len(data) - 1)):
            span = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **CUSTOMER)
            assert span["Body"].read() == data[first : last + 1]
    assert refused(s3.get_object, Bucket=bucket, Key="k") == ("InvalidRequest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="k") == ("400", 400)
    assert refused(s3.get_object, Bucket=bucket, Key="k", **THEIRS) == ("AccessDenied", 403)
    assert s3.head_object(Bucket=bucket, Key="k", **CUSTOMER)["ContentLength"] == len(data)


def test_copies_go_from_key_to_key(s3: Any, bucket: str) -> None:
    data = pattern(100_000)
    s3.put_object(Bucket=bucket, Key="k", Body=data, **CUSTOMER)
    source = {f"CopySource{name}": value for name, value in CUSTOMER.items()}
    given = {"Bucket": bucket, "Key": "c", "CopySource": f"{bucket}/k"}
    assert refused(s3.copy_object, **given) == ("InvalidRequest", 400)
    s3.copy_object(**given, **source, **THEIRS)
    assert s3.get_object(Bucket=bucket, Key="c", **THEIRS)["Body"].read() == data
    s3.copy_object(**given, **source)
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == data
    assert s3.head_object(Bucket=bucket, Key="c")["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'


def test_parts_are_encrypted_too(s3: Any, bucket: str) -> None:
    data = pattern(2 * PART + 77)
    upload = begin(s3, bucket, **CUSTOMER)
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"x") == ("InvalidRequest", 400)
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"x", **THEIRS) == ("InvalidRequest", 400)
    s3.put_object(Bucket=bucket, Key="source", Body=data[PART : 2 * PART])
    first = s3.upload_part(**upload, PartNumber=1, Body=data[:PART], **CUSTOMER)["ETag"]
    copied = s3.upload_part_copy(**upload, PartNumber=2, CopySource=f"{bucket}/source", **CUSTOMER)
    last = s3.upload_part(**upload, PartNumber=3, Body=data[2 * PART :], **CUSTOMER)["ETag"]
    tags = (first, copied["CopyPartResult"]["ETag"], last)
    complete(s3, upload, [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)])
    assert s3.get_object(Bucket=bucket, Key="k", **CUSTOMER)["Body"].read() == data
    for span in (f"bytes={PART - 3}-{PART + 3}", f"bytes={2 * PART - 1}-{2 * PART + 50}"):
        first_byte, last_byte = map(int, span[6:].split("-"))
        got = s3.get_object(Bucket=bucket, Key="k", Range=span, **CUSTOMER)["Body"].read()
        assert got == data[first_byte : last_byte + 1]
    assert s3.get_object(Bucket=bucket, Key="k", PartNumber=2, **CUSTOMER)["Body"].read() == data[PART : 2 * PART]


def test_keys_that_are_none(s3: Any, bucket: str) -> None:
    given = {"Bucket": bucket, "Key": "k", "Body": b"x"}
    for wrong, code in (
        ({**CUSTOMER, "SSECustomerKey": b"short"}, "InvalidArgument"),
        (
            {**CUSTOMER, "SSECustomerKey": base64.b64encode(KEY).decode(), "SSECustomerKeyMD5": "AAAA"},
            "InvalidArgument",
        ),
        ({**CUSTOMER, "SSECustomerAlgorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
        ({**CUSTOMER, "ServerSideEncryption": "AES256"}, "InvalidArgument"),
        ({"SSECustomerAlgorithm": "AES256"}, "InvalidArgument"),
    ):
        assert refused(s3.put_object, **given, **wrong) == (code, 400)
    s3.put_object(**given)
    assert refused(s3.get_object, Bucket=bucket, Key="k", **CUSTOMER) == ("InvalidRequest", 400)


def test_a_job_is_told_that_it_cannot_read_it(local: Site) -> None:
    local.s3.put_object(Bucket=local.bucket, Key="data/k", Body=b"secret", **CUSTOMER)
    ended = local.ended(local.start("print('never')", [channel("train", f"s3://{local.bucket}/data/")]))
    assert ended["TrainingJobStatus"] == "Failed"
    assert "is encrypted with a customer's key (SSE-C)" in ended["FailureReason"]
