"""What was recorded of the real service where ours had been kinder, stricter or silent."""

from __future__ import annotations

import base64
import http.client
import json
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest

from tests.aws.s3.refusal import error_of, refused
from tests.aws.s3.test_forms import code_of, form, post
from tests.aws.s3.test_multipart import PART, begin, complete, send

if TYPE_CHECKING:
    from tests.conftest import LiveServer


def raw(s3: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send just these headers (underscores for dashes) as the client's account; nobody verifies the signature here."""
    connection = http.client.HTTPConnection(urlsplit(s3.meta.endpoint_url).netloc, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    account = s3._request_signer._credentials.access_key
    for name, text in {"Authorization": f"AWS {account}:x", **headers}.items():
        connection.putheader(name.replace("_", "-"), text)
    connection.endheaders(body or None)
    answer = connection.getresponse()
    reply = answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
    connection.close()
    return reply


def test_an_upload_is_completed_again(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, upload, number, bytes([number]) * PART) for number in (1, 2)]
    first = complete(s3, upload, parts)
    again = complete(s3, upload, parts)
    named = [name for name in first if name.startswith("Checksum")]
    assert [again[name] for name in ("ETag", "Location", *named)] == [
        first[name] for name in ("ETag", "Location", *named)
    ]
    assert named
    s3.put_object(Bucket=bucket, Key="other", Body=b"1")
    for wrong in ({"UploadId": "0" * 64}, {"Key": "other"}):
        assert refused(complete, s3=s3, upload={**upload, **wrong}, parts=parts)[0] == "NoSuchUpload"
    assert refused(complete, s3=s3, upload=upload, parts=parts[:1])[0] == "NoSuchUpload"
    s3.delete_object(Bucket=bucket, Key="k")
    assert refused(complete, s3=s3, upload=upload, parts=parts)[0] == "NoSuchUpload"


def test_not_modified_says_of_what(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    for call in (s3.get_object, s3.head_object):
        headers = error_of(call, Bucket=bucket, Key="k", IfNoneMatch=etag)["ResponseMetadata"]["HTTPHeaders"]
        assert headers["etag"] == etag
        assert headers["last-modified"].endswith(" GMT")


def test_a_suspended_bucket_says_no_version_of_a_put(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k")["VersionId"] == "null"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("list-type=2&max-keys=blah", "max-keys"),
        ("max-keys=99999999999", "max-keys"),
        ("max-keys=1_0", "max-keys"),
        ("uploads&max-uploads=x", "max-uploads"),
        ("versions&max-keys=1.0", "max-keys"),
    ],
)
def test_numbers_that_are_none(s3: Any, bucket: str, query: str, name: str) -> None:
    status, _, body = raw(s3, "GET", f"/{bucket}?{query}")
    assert (status, code_of(body)) == (400, "InvalidArgument")
    assert f"Provided {name} not an integer or within integer range".encode() in body
    assert f"<ArgumentName>{name}</ArgumentName>".encode() in body


def test_part_numbers_that_are_none(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)["UploadId"]
    for query in ("partNumber=x", "part-number-marker=x"):
        method = "GET" if query[4] == "-" else "PUT"
        status, _, body = raw(s3, method, f"/{bucket}/k?uploadId={upload}&{query}", Content_Length="0")
        assert (status, code_of(body)) == (400, "InvalidArgument"), body


@pytest.mark.parametrize(
    ("header", "tags"),
    [("a=b&c", {"a": "b", "c": ""}), ("k1&&&k2", {"k1": "", "k2": ""}), ("&", {}), ("a=b=c", {"a": "b=c"})],
)
def test_tagging_headers(s3: Any, bucket: str, header: str, tags: dict[str, str]) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging=header)
    assert {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]} == tags


@pytest.mark.parametrize("header", ["a=1&a=2", "a&a", "a=%ff"])
def test_tagging_headers_that_are_refused(s3: Any, bucket: str, header: str) -> None:
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"1", Tagging=header) == ("InvalidArgument", 400)


@pytest.mark.parametrize("given", ["2100-01-01", "2100-01-01T00:00:00+00:00", "2100-01-01T00:00:00", "21000101T000000Z",
                                   "2100-13-01T00:00:00Z", "2100-01-01 00:00:00Z", 4102444800])  # fmt: skip
def test_a_forms_policy_ends_at_a_time_in_utc(s3: Any, bucket: str, given: object) -> None:
    document = {"expiration": given, "conditions": [{"bucket": bucket}, ["eq", "$key", "k"]]}
    fields = {"key": "k", "policy": base64.b64encode(json.dumps(document).encode()).decode()}
    status, _, body = post(f"{s3.meta.endpoint_url}/{bucket}", form(fields, b"1"))
    assert (status, code_of(body)) == (400, "InvalidPolicyDocument")
    assert b"Invalid &apos;expiration&apos; value" in body or b"Invalid 'expiration' value" in body


@pytest.mark.parametrize(("sent", "kept"), [("deflate, gzip", "deflate, gzip"), ("aws-chunked, gzip", "gzip"),
                                            ("gzip, aws-chunked", "gzip"), ("aws-chunked", None)])  # fmt: skip
def test_content_encoding(s3: Any, bucket: str, sent: str, kept: str | None) -> None:
    """And a body is not in chunks because a header says so, which belongs to the object."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    status, _, text = raw(s3, "PUT", f"/{bucket}/k", body, Content_Encoding=sent, Content_Length=str(len(body)))
    assert status == 200, text
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got.get("ContentEncoding")) == (body, kept)


@pytest.mark.parametrize(
    ("given", "header"),
    [({"IfMatch": "*"}, "If-Match"), ({"IfNoneMatch": '"1"'}, "If-None-Match"),
     ({"IfNoneMatch": "*", "IfMatch": '"1"'}, "If-None-Match")],
)  # fmt: skip
def test_conditions_that_s3_does_not_have_on_writes(s3: Any, bucket: str, given: dict[str, str], header: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, b"2")]
    for error in (
        error_of(s3.put_object, Bucket=bucket, Key="k", Body=b"2", **given),
        error_of(complete, s3=s3, upload=upload, parts=parts, **given),
        error_of(s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **given),
    ):
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert (error["Error"]["Code"], error["Error"]["Header"]) == ("NotImplemented", header)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch="*")  # where S3 has it


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_a_composite_upload_is_completed_with_its_parts_checksums(s3: Any, bucket: str, algorithm: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm=algorithm)
    made = s3.upload_part(**upload, PartNumber=1, Body=b"1", ChecksumAlgorithm=algorithm)
    error = error_of(complete, s3=s3, upload=upload, parts=[{"PartNumber": 1, "ETag": made["ETag"]}])["Error"]
    assert error["Code"] == "InvalidRequest"
    assert error["Message"] == (
        f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the checksum for "
        "each part. It was missing for part 1 in the request."
    )
    name = f"Checksum{algorithm}"
    done = complete(s3, upload, [{"PartNumber": 1, "ETag": made["ETag"], name: made[name]}])
    assert done[name].endswith("-1")


def test_an_upload_without_an_algorithm_gets_s3s_own(server: LiveServer, bucket: str, account: str) -> None:
    s3 = server.client("s3", account, request_checksum_calculation="when_required")
    upload = begin(s3, bucket)
    crc = base64.b64encode(zlib.crc32(b"1" * 20).to_bytes(4, "big")).decode()
    made = s3.upload_part(**upload, PartNumber=1, Body=b"1" * 20, ChecksumCRC32=crc)
    assert (made["ChecksumCRC32"], "ChecksumCRC64NVME" in made) == (crc, False)
    assert s3.list_parts(**upload)["Parts"][0]["ChecksumCRC32"] == crc
    done = complete(s3, upload, [{"PartNumber": 1, "ETag": made["ETag"], "ChecksumCRC32": crc}])
    plain = s3.put_object(Bucket=bucket, Key="plain", Body=b"1" * 20)
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (plain["ChecksumCRC64NVME"], "FULL_OBJECT")
    assert "ChecksumCRC32" not in done
    s3.close()


def test_an_upload_says_how_long_it_is(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)["UploadId"]
    for path in (f"/{bucket}/k", f"/{bucket}/k?partNumber=1&uploadId={upload}"):
        status, _, body = raw(s3, "PUT", path)
        assert (status, code_of(body)) == (411, "MissingContentLength")
    assert raw(s3, "PUT", f"/{bucket}/c", x_amz_copy_source=f"/{bucket}/k")[0] == 404  # a copy has no body
    assert raw(s3, "PUT", f"/{bucket}/k", Content_Length="0")[0] == 200


@pytest.mark.parametrize("path", ["/%ff", "/{bucket}/%C0%AF", "/{bucket}?prefix=%ff"])
def test_what_is_not_utf8(s3: Any, bucket: str, path: str) -> None:
    status, _, body = raw(s3, "GET", path.format(bucket=bucket))
    assert (status, code_of(body)) == (400, "InvalidURI")
    assert b"parse the specified URI" in body


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("=?UTF-8?Q?=C3=A9t=C3=A9?=", "=?UTF-8?B?w6l0w6k=?="),
        ("=?utf-8?b?aGVsbG8=?=", "hello"),
        ("a =?UTF-8?Q?b?= c", "a b c"),
        ("=?x?=", "=?x?="),
        ("=?none?Q?a?=", "=?none?Q?a?="),
        ("=?UTF-8?B?DQpTZXQtQ29va2llOiBh?=", "=?UTF-8?B?DQpTZXQtQ29va2llOiBh?="),  # no header of the answer's
    ],
)
def test_metadata_in_encoded_words(s3: Any, bucket: str, sent: str, kept: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Metadata={"m": sent})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"m": kept}


def test_a_forms_metadata_is_utf8(s3: Any, bucket: str, account: str) -> None:
    fields = {"key": "k", "x-amz-meta-m": "5 €", "AWSAccessKeyId": account, "Signature": "x"}
    assert post(f"{s3.meta.endpoint_url}/{bucket}", form(fields, b"1"))[0] == 204
    word = base64.b64encode("5 €".encode()).decode()
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"m": f"=?UTF-8?B?{word}?="}


def test_reads_do_not_say_how_to_encrypt(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    for method in ("GET", "HEAD"):
        status, _, body = raw(s3, method, f"/{bucket}/k", x_amz_server_side_encryption="AES256")
        assert (status, code_of(body)) == (400, "InvalidArgument" if method == "GET" else "")


def test_if_a_key_has_a_name_that_needs_encoding(s3: Any, bucket: str) -> None:
    """Nothing of the check of paths stands in the way of one that is UTF-8."""
    s3.put_object(Bucket=bucket, Key="é/ü", Body=b"1")
    assert raw(s3, "GET", f"/{bucket}/{quote('é/ü')}")[2] == b"1"
