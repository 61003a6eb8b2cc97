"""Uploads by a browser's form: boto3 makes the fields, the form is sent by hand; policies hold, signatures too."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backends.aws.s3 import post_policy
from backends.core.errors import AwsError
from tests.aws.s3.refusal import refused
from tests.aws.s3.test_objects import pattern

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


def form(fields: dict[str, str], data: bytes | None, filename: str = "up.txt", after: str = "") -> bytes:
    """Write a form as browsers do."""
    out = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    if data is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        out += [f"{head}Content-Type: text/plain\r\n\r\n".encode(), data, b"\r\n"]
    if after:
        out.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{after}"\r\n\r\nlate\r\n'.encode())
    return b"".join([*out, f"--{BOUNDARY}--\r\n".encode()])


def post(url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", parts.path, body, kind)
    answer = connection.getresponse()
    reply = answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
    connection.close()
    return reply


def code_of(body: bytes) -> str:
    match = re.search(rb"<Code>(\w+)</Code>", body)
    return match[1].decode() if match else ""


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
@pytest.mark.parametrize("size", [0, 11, 3_000_000])
def test_a_form_becomes_an_object(aws: Callable[..., Any], bucket: str, signature: str, size: int) -> None:
    s3, data = aws("s3", signature_version=signature), pattern(size)
    extra = {"Content-Type": "text/x", "x-amz-meta-a": "1", "x-amz-storage-class": "STANDARD_IA"}
    conditions = [
        ["starts-with", "$Content-Type", "text/"],
        {"x-amz-meta-a": "1"},
        {"x-amz-storage-class": "STANDARD_IA"},
    ]
    made = s3.generate_presigned_post(bucket, "in/${filename}", Fields=extra, Conditions=conditions)
    status, headers, body = post(made["url"], form(made["fields"], data, after="ignored"))
    assert (status, body) == (204, b""), body
    got = s3.get_object(Bucket=bucket, Key="in/up.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (data, "text/x", {"a": "1"})
    assert (got["StorageClass"], got["ETag"]) == ("STANDARD_IA", headers["etag"])
    assert headers["location"].endswith(f"/{bucket}/in/up.txt")


def test_how_it_is_answered(s3: Any, bucket: str) -> None:
    def send(**wish: str) -> tuple[int, dict[str, str], bytes]:
        conditions = [{name: text} for name, text in wish.items()]
        made = s3.generate_presigned_post(bucket, "k", Fields=dict(wish), Conditions=conditions)
        return post(made["url"], form(made["fields"], b"x"))

    status, headers, body = send(success_action_status="201")
    assert (status, headers["content-type"]) == (201, "application/xml")
    assert f"<PostResponse><Location>{headers['location']}</Location><Bucket>{bucket}</Bucket>" in body.decode()
    assert send(success_action_status="200")[0] == 200
    assert send(success_action_status="418")[0] == 204
    status, headers, _ = send(success_action_redirect="http://localhost/done?a=1")
    assert status == 303
    assert parse_qs(urlsplit(headers["location"]).query) == {
        "a": ["1"], "bucket": [bucket], "key": ["k"], "etag": [s3.head_object(Bucket=bucket, Key="k")["ETag"]],
    }  # fmt: skip


def test_tags_and_versions_of_a_form(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    document = "<Tagging><TagSet><Tag><Key>t</Key><Value>1</Value></Tag></TagSet></Tagging>"
    fields = {"tagging": document}
    made = s3.generate_presigned_post(bucket, "k", Fields=fields, Conditions=[{"tagging": document}])
    _, headers, _ = post(made["url"], form(made["fields"], b"x"))
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "t", "Value": "1"}]
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == headers["x-amz-version-id"]


def test_what_a_policy_forbids(s3: Any, bucket: str) -> None:
    def send(change: dict[str, str], data: bytes, *conditions: Any, **options: Any) -> tuple[int, str]:
        made = s3.generate_presigned_post(bucket, "in/k", Conditions=[*conditions], **options)
        status, _, body = post(made["url"], form(made["fields"] | change, data))
        return status, code_of(body)

    assert send({"key": "out/k"}, b"x") == (403, "AccessDenied")
    assert send({"x-amz-meta-b": "1"}, b"x") == (403, "AccessDenied")
    assert send({"x-ignore-me": "1"}, b"x") == (204, "")
    assert send({}, b"x", ["starts-with", "$x-amz-meta-a", "good"]) == (403, "AccessDenied")
    limits = ["content-length-range", 2, 100_000]
    assert send({}, b"x", limits) == (400, "EntityTooSmall")
    assert send({}, pattern(100_001), limits) == (400, "EntityTooLarge")
    assert send({}, pattern(100_000), limits) == (204, "")
    assert send({}, b"x", ExpiresIn=-10) == (403, "AccessDenied")
    broken = base64.b64encode(b"{").decode()
    assert send({"policy": broken}, b"x") == (400, "InvalidPolicyDocument")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["in/k"]


def test_forms_that_are_none(s3: Any, bucket: str) -> None:
    made = s3.generate_presigned_post(bucket, "k")
    url = made["url"]
    assert [code_of(post(url, body)[2]) for body in (
        form({"key": "k"}, None), form({}, b"x"), b"nothing of the kind", form(made["fields"], b"x")[:-20],
        form({"key": "k", "x-amz-meta-a": "a" * 30_000}, b"x"),
    )] == ["InvalidArgument", "InvalidArgument", "MalformedPOSTRequest", "MalformedPOSTRequest",
           "MaxPostPreDataLengthExceeded"]  # fmt: skip
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_another_account_may_not(aws: Callable[..., Any], bucket: str) -> None:
    made = aws("s3", account="999999999997").generate_presigned_post(bucket, "k")
    status, _, body = post(made["url"], form(made["fields"], b"x"))
    assert (status, code_of(body)) == (403, "AccessDenied")
    assert refused(aws("s3").head_object, Bucket=bucket, Key="k") == ("404", 404)


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_who_signed_is_verified(aws: Callable[..., Any], bucket: str, signature: str) -> None:
    made = aws("s3", signature_version=signature).generate_presigned_post(bucket, "k")["fields"]
    fields = {name.lower(): text for name, text in made.items()}
    post_policy.check_signature(fields, "test")
    changed = base64.b64encode(base64.b64decode(fields["policy"]).replace(b'"k"', b'"j"')).decode()
    for wrong, secret in ((fields, "another"), ({**fields, "policy": changed}, "test")):
        with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
            post_policy.check_signature(wrong, secret)


@pytest.mark.parametrize(
    "document",
    [[], {"conditions": []}, {"expiration": "soon", "conditions": []}, {"expiration": "2030-01-01T00:00:00Z"},
     {"expiration": "2030-01-01T00:00:00Z", "conditions": [["like", "$key", "a"]]},
     {"expiration": "2030-01-01T00:00:00Z", "conditions": [["content-length-range", "a", "b"]]}],
)  # fmt: skip
def test_policies_that_are_none(document: Any) -> None:
    with pytest.raises(AwsError, match="InvalidPolicyDocument"):
        post_policy.parse(base64.b64encode(json.dumps(document).encode()).decode())
    good = {"expiration": "2030-01-01T00:00:00.000Z", "conditions": [{"bucket": "b"}, ["eq", "$Key", "k"]]}
    policy = post_policy.parse(base64.b64encode(json.dumps(good).encode()).decode())
    post_policy.check(policy, {"key": "k"}, "b", time.time())


@pytest.mark.parametrize(
    "document",
    [
        b'{"expiration":"2100-01-01T00:00:00Z","conditions":5}',
        b'{"expiration":"2100-01-01T00:00:00Z","conditions":null}',
        b'{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",1e400,2]]}',
        b"[" * 9000,
    ],
)
def test_a_policy_of_any_json_is_read_or_refused(aws: Callable[..., Any], bucket: str, document: bytes) -> None:
    fields = {"key": "k", "policy": base64.b64encode(document).decode()}
    status, _, body = post(f"{aws('s3').meta.endpoint_url}/{bucket}", form(fields, b"1"))
    assert (status, code_of(body)) == (400, "InvalidPolicyDocument")


def test_a_redirect_that_is_no_url_is_not_followed(aws: Callable[..., Any], bucket: str) -> None:
    s3 = aws("s3")
    made = s3.generate_presigned_post(bucket, "k", {"redirect": "http://[x"}, [{"redirect": "http://[x"}])
    assert post(made["url"], form(made["fields"], b"1"))[0] == 204


def test_what_a_form_says_wrongly_of_tags_is_refused(aws: Callable[..., Any], bucket: str) -> None:
    for document in ("<Tagging/>", "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"):
        url = f"{aws('s3').meta.endpoint_url}/{bucket}"
        status, _, body = post(url, form({"key": "k", "tagging": document}, b"1"))
        assert (status, code_of(body)) == (400, "MalformedXML")
