"""S3 while signatures are verified: what nobody signed, and forms, whose signature stands in a field."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.aws.s3.test_cors import RULES, preflight
from tests.aws.s3.test_forms import code_of, form, post
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "111111111111"
KEYS = f"[a]\naws_access_key_id = {ACCOUNT}\naws_secret_access_key = test\n"


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Give a server that verifies signatures."""
    folder = tmp_path_factory.mktemp("enforced")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


@pytest.fixture
def own(enforced: LiveServer) -> Any:
    """Give a client with a key that the server knows; it makes the bucket `open` anew."""
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
        connection.sock.sendall(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
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


def test_preflights_are_not_signed(enforced: LiveServer, own: Any) -> None:
    own.put_bucket_cors(Bucket="open-bucket", CORSConfiguration={"CORSRules": RULES})
    assert preflight(enforced, "open-bucket", "PUT")[0] == 200
    assert preflight(enforced, "open-bucket", "DELETE")[0] == 403
