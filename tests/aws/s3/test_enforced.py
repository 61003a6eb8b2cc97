"""S3 while signatures are verified: what nobody signed, and forms, whose signature stands in a field."""

from __future__ import annotations

import hmac
import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.aws.s3.refusal import refused
from tests.aws.s3.test_cors import RULES, preflight
from tests.aws.s3.test_forms import BOUNDARY, code_of, form, post
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "111111111111"
KEYS = f"[a]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = test\n"


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that verifies signatures."""
    folder = tmp_path_factory.mktemp("enforced")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


@pytest.fixture
def own(enforced: LiveServer) -> Any:
    """Return a client with a key that the server knows; it makes the bucket `open` anew."""
    s3 = enforced.client("s3", ACCOUNT)
    if "open" not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket="open-bucket")
    s3.put_object(Bucket="open-bucket", Key="k", Body=b"seen")
    return s3


def unsigned(live: LiveServer, method: str, path: str, version: int = 11) -> tuple[int, str, bytes]:
    """Ask without a signature; give status, code and body. Version 10 is HTTP/1.0, which needs no headers at all."""
    connection = http.client.HTTPConnection(urlsplit(live.url).netloc, timeout=20)
    if version == 10:
        connection.connect()
        length = "Content-Length: 0\r\n" if method == "PUT" else ""
        connection.sock.sendall(f"{method} {path} HTTP/1.0\r\n{length}\r\n".encode())
        text = b"".join(iter(lambda: connection.sock.recv(65536), b""))
        connection.close()
        head, _, body = text.partition(b"\r\n\r\n")
        return int(head.split()[1]), code_of(body), body
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, code_of(body), body


@pytest.mark.parametrize("version", [10, 11])
def test_nobody_may_only_what_a_public_policy_says(enforced: LiveServer, own: Any, version: int) -> None:
    own.delete_bucket_policy(Bucket="open-bucket")
    own.put_public_access_block(Bucket="open-bucket", PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
    denied = (403, "AccessDenied")
    assert unsigned(enforced, "GET", "/open-bucket/k", version)[:2] == denied
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::open-bucket/*",
    }
    own.put_bucket_policy(Bucket="open-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    assert unsigned(enforced, "GET", "/open-bucket/k", version) == (200, "", b"seen")
    for method, path in (
        ("PUT", "/open-bucket/k"), ("DELETE", "/open-bucket/k"), ("GET", "/open-bucket"), ("DELETE", "/open-bucket"),
        ("PUT", "/open-bucket"), ("GET", "/open-bucket?policy"), ("DELETE", "/open-bucket?policy"), ("GET", "/"),
        ("PUT", "/a-new-bucket"),
    ):  # fmt: skip
        assert unsigned(enforced, method, path, version)[:2] == denied, (method, path)
    assert own.get_object(Bucket="open-bucket", Key="k")["Body"].read() == b"seen"
    own.put_public_access_block(Bucket="open-bucket", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert unsigned(enforced, "GET", "/open-bucket/k", version)[:2] == denied


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_a_form_must_be_signed(enforced: LiveServer, own: Any, signature: str) -> None:
    s3 = enforced.client("s3", ACCOUNT, signature_version=signature)
    made = s3.generate_presigned_post("open-bucket", "form")
    fields = made["fields"]
    assert post(made["url"], form(fields, b"x"))[0] == 204
    forged = "x-amz-signature" if signature == "s3v4" else "signature"
    for wrong, code in (
        (fields | {forged: "0" * 64}, "SignatureDoesNotMatch"),
        ({name: text for name, text in fields.items() if name != "policy"}, "InvalidArgument"),
        ({"key": "form"}, "AccessDenied"),
        ({name: text.replace(ACCOUNT, "222222222222") for name, text in fields.items()}, "InvalidAccessKeyId"),
    ):
        status, _, body = post(made["url"], form(wrong, b"forged"))
        assert (status >= 400, code_of(body)) == (True, code)
    assert own.get_object(Bucket="open-bucket", Key="form")["Body"].read() == b"x"


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
@pytest.mark.parametrize("lost", ["policy", "awsaccesskeyid", "signature", "x-amz-credential", "x-amz-signature",
                                  "x-amz-algorithm", "x-amz-date"])  # fmt: skip
def test_a_form_says_which_field_it_lacks(enforced: LiveServer, own: Any, signature: str, lost: str) -> None:
    s3 = enforced.client("s3", ACCOUNT, signature_version=signature)
    made = s3.generate_presigned_post("open-bucket", "form")
    fields = {name: text for name, text in made["fields"].items() if name.lower() != lost}
    if len(fields) == len(made["fields"]):
        return  # a field of the other version
    status, _, body = post(made["url"], form(fields, b"x"))
    assert (status, code_of(body)) == (400, "InvalidArgument")
    assert f"<ArgumentName>{lost}</ArgumentName>".encode() in body.lower().replace(b"argumentname", b"ArgumentName")


def test_only_a_form_for_a_bucket_comes_unsigned(enforced: LiveServer, own: Any) -> None:
    """Nobody's form for a key is an operation on that key, and is not read."""
    own.create_bucket(Bucket="closed-bucket")
    for query in ("uploads", "uploadId=1", "restore", "select&select-type=2"):
        status, _, body = post(f"{enforced.url}/closed-bucket/k?{query}", form({"key": "k"}, b"x"))
        assert (status, code_of(body)) == (403, "AccessDenied")


def test_a_form_with_a_policy_that_nobody_signed(enforced: LiveServer, own: Any) -> None:
    fields = own.generate_presigned_post("open-bucket", "form")["fields"]
    bare = {name: text for name, text in fields.items() if name in {"key", "policy"}}
    status, _, body = post(f"{enforced.url}/open-bucket", form(bare, b"x"))
    assert (status, code_of(body)) == (400, "InvalidArgument")
    assert b"<ArgumentName>AWSAccessKeyId</ArgumentName>" in body


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_a_form_has_one_signature(enforced: LiveServer, own: Any, signature: str) -> None:
    """Both versions at once, a field twice, another signature in the request: all are refused, in either order."""
    own.delete_object(Bucket="open-bucket", Key="once")
    makers = {name: enforced.client("s3", ACCOUNT, signature_version=name) for name in ("s3", "s3v4")}
    made = makers[signature].generate_presigned_post("open-bucket", "once")
    fields = {name.lower(): text for name, text in made["fields"].items()}
    other = makers["s3v4" if signature == "s3" else "s3"].generate_presigned_post("open-bucket", "once")["fields"]
    mixed = {name.lower(): text for name, text in other.items()}
    cases = [fields | mixed, mixed | fields, {**fields, "Key": "once"}]
    cases += [{**fields, name.upper(): text} for name, text in fields.items()]
    cases += [{name.upper(): "0", **fields} for name in fields]
    for wrong in cases:
        status, _, body = post(made["url"], form(wrong, b"forged"))
        assert (status, code_of(body)) == (400, "InvalidArgument"), wrong
    presigned = own.generate_presigned_url("list_objects_v2", Params={"Bucket": "open-bucket"}).partition("?")[2]
    for headers, query in (
        ({"Authorization": f"AWS {ACCOUNT}:x"}, ""),
        ({"Authorization": "Bearer x"}, ""),
        ({}, presigned),
    ):
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
        connection = http.client.HTTPConnection(urlsplit(enforced.url).netloc, timeout=20)
        connection.request("POST", f"/open-bucket?{query}", form(fields, b"forged"), kind)
        assert connection.getresponse().status in {400, 403}
        connection.close()
    assert "Contents" not in own.list_objects_v2(Bucket="open-bucket", Prefix="once")


def test_a_form_is_signed_for_s3(enforced: LiveServer, own: Any) -> None:
    """The same key, derived for another service or day, is not the one that signs forms."""
    s3 = enforced.client("s3", ACCOUNT, signature_version="s3v4")
    made = s3.generate_presigned_post("open-bucket", "aimed")
    fields = made["fields"]
    key, day, region, _, end = fields["x-amz-credential"].split("/")
    for scope in ([day, region, "sqs", end], ["20000101", region, "s3", end], [day, region, "s3"], []):
        signing = b"AWS4test"
        for part in scope:
            signing = hmac.digest(signing, part.encode(), "sha256")
        signature = hmac.new(signing, fields["policy"].encode(), "sha256").hexdigest()
        wrong = {**fields, "x-amz-credential": "/".join([key, *scope]), "x-amz-signature": signature}
        status, _, body = post(made["url"], form(wrong, b"forged"))
        assert status in {400, 403}, body
    assert "Contents" not in own.list_objects_v2(Bucket="open-bucket", Prefix="aimed")


def test_preflights_are_not_signed(enforced: LiveServer, own: Any) -> None:
    own.put_bucket_cors(Bucket="open-bucket", CORSConfiguration={"CORSRules": RULES})
    assert preflight(enforced, "open-bucket", "PUT")[0] == 200
    assert preflight(enforced, "open-bucket", "DELETE")[0] == 403


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_the_preflight_of_a_presigned_url_is_not_signed(enforced: LiveServer, own: Any, signature: str) -> None:
    """A browser sends it to the URL whose signature is for the request to come, be its key known or not."""
    own.put_bucket_cors(Bucket="open-bucket", CORSConfiguration={"CORSRules": RULES})
    s3 = enforced.client("s3", ACCOUNT, signature_version=signature)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "open-bucket", "Key": "k"})
    place = urlsplit(url)
    for query in (place.query, place.query.replace(ACCOUNT, "AKIANOBODY0000000000")):
        assert preflight(enforced, f"open-bucket/k?{query}", "PUT")[0] == 200


def test_a_bucket_that_is_not_there_is_nobodys_secret(enforced: LiveServer) -> None:
    for method, path in (("GET", "/missing-bucket"), ("GET", "/missing-bucket/k"), ("PUT", "/missing-bucket/k"),
                         ("DELETE", "/missing-bucket")):  # fmt: skip
        assert unsigned(enforced, method, path)[:2] == (404, "NoSuchBucket")
    assert unsigned(enforced, "PUT", "/missing-bucket")[:2] == (403, "AccessDenied")
    for path in ("/endpoints/e/invocations", "/2015-03-31/functions/"):  # other services' paths
        assert unsigned(enforced, "POST", path)[0] == 403


def test_version_2_signs_buckets(enforced: LiveServer, own: Any) -> None:
    """Boto3 signs `/bucket/`, and sends `/bucket`."""
    s3 = enforced.client("s3", ACCOUNT, signature_version="s3")
    assert s3.list_buckets()["Buckets"]
    s3.create_bucket(Bucket="made-by-version-2")
    s3.head_bucket(Bucket="made-by-version-2")
    assert "Contents" not in s3.list_objects_v2(Bucket="made-by-version-2")
    s3.put_bucket_tagging(Bucket="made-by-version-2", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_location(Bucket="made-by-version-2")["LocationConstraint"] is None
    s3.delete_bucket(Bucket="made-by-version-2")
    bad = boto3.client("s3", endpoint_url=enforced.url, region_name="us-east-1", aws_access_key_id=ACCOUNT,
                       aws_secret_access_key="wrong", config=Config(signature_version="s3"))  # fmt: skip
    assert refused(bad.list_objects_v2, Bucket="open-bucket") == ("SignatureDoesNotMatch", 403)
    bad.close()
