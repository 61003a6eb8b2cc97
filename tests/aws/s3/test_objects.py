"""Objects through boto3: bytes, headers, conditions, ranges, checksums, tags, copies."""

from __future__ import annotations

import base64
import hashlib
import http.client
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests import postgresql
from tests.aws.s3.refusal import error_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

MIB = 1 << 20
EDGES = [0, 1, 16 * 1024, 16 * 1024 + 1, MIB, MIB + 1, 3 * MIB + 7]


def pattern(size: int) -> bytes:
    """Bytes in which no two places look alike, so that a shifted answer is seen."""
    return b"".join(i.to_bytes(4, "big") for i in range(size // 4 + 1))[:size]


@pytest.mark.parametrize("size", EDGES)
def test_bytes_come_back(s3: Any, bucket: str, size: int) -> None:
    data = pattern(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=data)
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == size
    assert got["Body"].read() == data
    assert got["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    "key",
    [
        "plain", "a/b/c", "dir/", "with space", "plus+and&amp;", "dots/../x", "./y", "..", "ünï/коды/鍵/🔑", "a//b", "/lead",
        "percent%20%2F", "q?x=1#frag", "k" * 1024, "new\nline", "<xml>", "'\"",
    ],
)  # fmt: skip
def test_keys_are_taken_as_they_are(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert [entry["Key"] for entry in gone["Deleted"]] == [key, "copy"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_key_of_1025_bytes_is_too_long(s3: Any, bucket: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="é" * 513, Body=b"") == ("KeyTooLongError", 400)


def test_what_an_object_carries(s3: Any, bucket: str) -> None:
    given = {
        "ContentType": "text/csv", "CacheControl": "no-cache", "ContentDisposition": 'attachment; filename="x"',
        "ContentEncoding": "gzip", "ContentLanguage": "de", "StorageClass": "STANDARD_IA", "Metadata": {"a": "1", "b-c": "two"},
        "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:111122223333:key/x",
    }  # fmt: skip
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=%C3%BC", **given)
    for answer in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert {name: answer[name] for name in given} == given
        assert answer["AcceptRanges"] == "bytes"
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    plain = s3.put_object(Bucket=bucket, Key="p", Body=b"x")
    assert plain["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="p")["ContentType"] == "binary/octet-stream"
    too_much = {"Bucket": bucket, "Key": "m", "Body": b"", "Metadata": {"a": "x" * 2048}}
    assert refused(s3.put_object, **too_much) == ("MetadataTooLarge", 400)


def test_overrides_of_response_headers(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="a/b", ResponseCacheControl="max-age=1")
    assert (got["ContentType"], got["CacheControl"]) == ("a/b", "max-age=1")


def test_what_is_missing(s3: Any, bucket: str) -> None:
    error = error_of(s3.get_object, Bucket=bucket, Key="no/such")
    assert error["Error"] == {"Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "no/such"}
    assert error_of(s3.head_object, Bucket=bucket, Key="x")["Error"] == {"Code": "404", "Message": "Not Found"}
    assert refused(s3.get_object, Bucket="no-such-bucket-here", Key="k") == ("NoSuchBucket", 404)
    assert s3.delete_object(Bucket=bucket, Key="x")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_object, Bucket=bucket, Key="x", VersionId="v1") == ("InvalidArgument", 400)


@pytest.mark.parametrize("size", [1000, 2 * MIB + 100])
def test_ranges(s3: Any, bucket: str, size: int) -> None:
    data = pattern(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    spans = [("0-0", 0, 1), ("10-19", 10, 20), (f"{size - 5}-", size - 5, size), ("-7", size - 7, size)]
    spans += [("3-999999999", 3, size), ("-999999999", 0, size), (f"1-{size - 2}", 1, size - 1)]
    for text, first, after in spans:
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={text}")
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"] == f"bytes {first}-{after - 1}/{size}"
        assert got["Body"].read() == data[first:after]
        head = s3.head_object(Bucket=bucket, Key="k", Range=f"bytes={text}")
        assert head["ContentLength"] == after - first
    for ignored in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-"):
        got = s3.get_object(Bucket=bucket, Key="k", Range=ignored)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert got["Body"].read() == data
    error = error_of(s3.get_object, Bucket=bucket, Key="k", Range=f"bytes={size}-")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 416
    assert error["Error"]["Code"] == "InvalidRange"
    assert error["Error"]["ActualObjectSize"] == str(size)


def test_conditions_on_reads(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    key = {"Bucket": bucket, "Key": "k"}
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    for call, failed in ((s3.get_object, "PreconditionFailed"), (s3.head_object, "412")):
        assert refused(call, IfMatch='"other"', **key) == (failed, 412)
        assert refused(call, IfNoneMatch=etag, **key) == ("304", 304)
        assert refused(call, IfUnmodifiedSince=past, **key) == (failed, 412)
        assert refused(call, IfModifiedSince=future, **key) == ("304", 304)
        assert refused(call, IfNoneMatch=etag, IfModifiedSince=past, **key) == ("304", 304)
        for held in (
            {"IfMatch": etag}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": past}, {"IfUnmodifiedSince": future},
            {"IfMatch": etag, "IfUnmodifiedSince": past}, {"IfNoneMatch": '"other"', "IfModifiedSince": future},
        ):  # fmt: skip
            assert call(**key, **held)["ETag"] == etag


def test_conditions_on_writes(s3: Any, bucket: str) -> None:
    key = {"Bucket": bucket, "Key": "k"}
    first = s3.put_object(Body=b"1", IfNoneMatch="*", **key)["ETag"]
    assert refused(s3.put_object, Body=b"2", IfNoneMatch="*", **key) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Body=b"2", IfMatch='"other"', **key) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Body=pattern(MIB), IfNoneMatch="*", **key) == ("PreconditionFailed", 412)
    assert refused(s3.put_object, Bucket=bucket, Key="n", Body=b"2", IfMatch=first) == ("NoSuchKey", 404)
    s3.put_object(Body=b"3", IfMatch=first, **key)
    assert s3.get_object(**key)["Body"].read() == b"3"


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_digests_are_verified(s3: Any, bucket: str, size: int) -> None:
    data, other = pattern(size), pattern(size + 1)
    key = {"Bucket": bucket, "Key": "k", "Body": data}
    wrong_md5 = base64.b64encode(hashlib.md5(other).digest()).decode()
    assert refused(s3.put_object, ContentMD5=wrong_md5, **key) == ("BadDigest", 400)
    assert refused(s3.put_object, ContentMD5="bm8=", **key) == ("InvalidDigest", 400)
    for name, make in (("SHA1", hashlib.sha1), ("SHA256", hashlib.sha256), ("SHA512", hashlib.sha512)):
        value = base64.b64encode(make(data).digest()).decode()
        assert s3.put_object(**key, **{f"Checksum{name}": value})[f"Checksum{name}"] == value
        got = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (got[f"Checksum{name}"], got["ChecksumType"]) == (value, "FULL_OBJECT")
        wrong = base64.b64encode(make(other).digest()).decode()
        assert refused(s3.put_object, **key, **{f"Checksum{name}": wrong}) == ("BadDigest", 400)
    assert refused(s3.put_object, ChecksumCRC32="AAAAAA==", **key) == ("BadDigest", 400)
    assert refused(s3.put_object, ChecksumCRC32="AAAA", **key) == ("InvalidRequest", 400)
    assert refused(s3.put_object, ChecksumCRC32C="AAAAAA==", **key) == ("BadDigest", 400)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


def send(server: LiveServer, account: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """PUT with headers of our own, as clients do that boto3 does not stand for."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    scope = f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    connection.request("PUT", path, body, {"Authorization": scope, **headers})
    answer = connection.getresponse()
    reply = answer.status, answer.read()
    connection.close()
    return reply


@pytest.mark.parametrize("size", [5, 300_000])
def test_aws_chunked_with_a_trailer(server: LiveServer, s3: Any, bucket: str, account: str, size: int) -> None:
    data = pattern(size)
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    pieces = [data[i : i + 65536] for i in range(0, size, 65536)]
    coded = b"".join(b"%x;chunk-signature=0\r\n%s\r\n" % (len(p), p) for p in pieces)
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(size),
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-sdk-checksum-algorithm": "CRC32",
    }
    path = f"/{bucket}/k"
    good = coded + f"0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    assert send(server, account, path, good, headers) == (200, b"")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data
    assert "ContentEncoding" not in got
    assert got["ChecksumCRC32"] == crc
    bad = coded + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    status, text = send(server, account, path, bad, headers)
    assert (status, b"<Code>BadDigest</Code>" in text) == (400, True)
    negative = b"-5\r\nabc"
    status, text = send(server, account, path, negative, {**headers, "x-amz-decoded-content-length": "3"})
    assert (status, b"<Code>InvalidRequest</Code>" in text) == (400, True)
    status, text = send(server, account, path, coded, headers)
    assert (status, b"<Code>IncompleteBody</Code>" in text) == (400, True)
    short = {**headers, "x-amz-decoded-content-length": str(size + 1)}
    assert send(server, account, path, good, short)[0] == 400


def test_a_refused_body_after_expect_leaves_a_usable_client(s3: Any, bucket: str) -> None:
    for _ in range(3):
        assert refused(s3.put_object, Bucket="no-such-bucket-here", Key="k", Body=pattern(MIB)) == ("NoSuchBucket", 404)
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_virtual_host_style(server: LiveServer, s3: Any, bucket: str, account: str) -> None:
    host = {"Host": f"{bucket}.s3.localhost:{urlsplit(server.url).port}"}
    assert send(server, account, "/dir/k%20k", b"by host", host) == (200, b"")
    assert s3.get_object(Bucket=bucket, Key="dir/k k")["Body"].read() == b"by host"


def test_tags(s3: Any, bucket: str) -> None:
    key = {"Bucket": bucket, "Key": "k"}
    s3.put_object(Body=b"x", Tagging="a=1&b=", **key)
    assert s3.get_object_tagging(**key)["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    s3.put_object_tagging(Tagging={"TagSet": [{"Key": "c", "Value": "ü"}]}, **key)
    assert s3.get_object_tagging(**key)["TagSet"] == [{"Key": "c", "Value": "ü"}]
    many = {"TagSet": [{"Key": str(i), "Value": ""} for i in range(11)]}
    assert refused(s3.put_object_tagging, Tagging=many, **key) == ("BadRequest", 400)
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refused(s3.put_object_tagging, Tagging=twice, **key) == ("InvalidTag", 400)
    s3.delete_object_tagging(**key)
    assert s3.get_object_tagging(**key)["TagSet"] == []
    assert refused(s3.get_object_tagging, Bucket=bucket, Key="no") == ("NoSuchKey", 404)


@pytest.mark.parametrize("size", [100, 2 * MIB])
def test_copies(s3: Any, aws: Callable[..., Any], bucket: str, size: int) -> None:
    data, source = pattern(size), {"Bucket": bucket, "Key": "src/ü k"}
    put = s3.put_object(**source, Body=data, Metadata={"a": "1"}, ContentType="a/b", Tagging="t=1")
    made = s3.copy_object(Bucket=bucket, Key="c1", CopySource=source)["CopyObjectResult"]
    assert made["ETag"] == put["ETag"]
    got = s3.get_object(Bucket=bucket, Key="c1")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"], got["TagCount"]) == (data, {"a": "1"}, "a/b", 1)
    s3.copy_object(
        Bucket=bucket, Key="c2", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"},
        TaggingDirective="REPLACE", Tagging="x=1&y=2", ChecksumAlgorithm="SHA256",
    )  # fmt: skip
    got = s3.get_object(Bucket=bucket, Key="c2", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["Metadata"], got["TagCount"]) == (data, {"b": "2"}, 2)
    assert got["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    s3.put_object(**source, Body=b"changed")
    assert s3.get_object(Bucket=bucket, Key="c1")["Body"].read() == data
    assert refused(s3.copy_object, **source, CopySource=source) == ("InvalidRequest", 400)
    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "yes"})
    assert s3.head_object(**source)["Metadata"] == {"new": "yes"}
    missing = {"Bucket": bucket, "Key": "none"}
    assert refused(s3.copy_object, Bucket=bucket, Key="c", CopySource=missing) == ("NoSuchKey", 404)
    stale = {"Bucket": bucket, "Key": "c", "CopySource": source, "CopySourceIfMatch": '"other"'}
    assert refused(s3.copy_object, **stale) == ("PreconditionFailed", 412)


def test_quiet_and_partial_deletion_of_many(s3: Any, bucket: str) -> None:
    for name in "abc":
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "none"}], "Quiet": True})
    assert "Deleted" not in gone
    mixed = {"Objects": [{"Key": "b"}, {"Key": "c", "VersionId": "v9"}]}
    gone = s3.delete_objects(Bucket=bucket, Delete=mixed)
    assert ([d["Key"] for d in gone["Deleted"]], [e["Key"] for e in gone["Errors"]]) == (["b"], ["c"])
    assert [o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]] == ["c"]


def test_the_clock_of_the_account_stamps_objects(server: LiveServer, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    age = datetime.now(UTC) - s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert abs(age.total_seconds()) < 60


def test_a_key_with_a_nul_is_kept_or_refused(s3: Any, bucket: str) -> None:
    """PostgreSQL keeps no text with one; nothing is kept of the request then."""
    if not postgresql.is_wanted():
        s3.put_object(Bucket=bucket, Key="a\0b", Body=b"1")
        assert s3.get_object(Bucket=bucket, Key="a\0b")["Body"].read() == b"1"
        return
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.put_object(Bucket=bucket, Key="a\0b", Body=b"1")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
