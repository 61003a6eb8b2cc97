"""Ways around signatures, ends, accounts and policies that were found open once, under `LOCALMAKER_AUTH=enforce`."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import json
import re
import urllib.error
import urllib.request
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from server.authentication import sigv4
from server.route import FORM
from tests.conftest import LiveServer
from tests.server.test_authentication import ACCESS, KEYS, SECRET, client, status_of
from tests.server.test_authentication_chunks import chunked_by_hand

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "iam": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def bucket(strict: LiveServer) -> str:
    client(strict, "s3").create_bucket(Bucket="signed")
    return "signed"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_that_ran_out_is_not_revived(strict: LiveServer, bucket: str, version: str) -> None:
    """By an end whose name is spelled otherwise, nor by the other version's, which this one does not sign."""
    s3 = client(strict, "s3", signature_version=version)
    s3.put_object(Bucket=bucket, Key="over", Body=b"1")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "over"}, ExpiresIn=-60)
    now = dt.datetime.now(dt.UTC).strftime(sigv4.DATE)
    for revived in (
        url,
        url.replace("Expires=", "Expire%73="),
        f"{url}&X-Amz-Expires=600&X-Amz-Date={now}&X-Amz-Signature=1",
        f"{url}&AWSAccessKeyId={ACCESS}&Expires=9999999999&Signature=1",
    ):
        assert status_of(revived) in {400, 403}, revived


def test_a_presigned_url_without_an_end_is_refused(strict: LiveServer, bucket: str) -> None:
    request = AWSRequest("GET", f"{strict.url}/{bucket}")

    class Endless(S3SigV4QueryAuth):  # type: ignore[misc]
        def canonical_query_string(self, request: Any) -> str:
            request.url = request.url.replace("X-Amz-Expires=3600&", "")
            return str(super().canonical_query_string(request))

    Endless(Credentials(ACCESS, SECRET), "s3", "us-east-1").add_auth(request)
    assert "X-Amz-Signature" in request.url
    assert "Expires" not in request.url
    with pytest.raises(urllib.error.HTTPError, match="400") as error, urllib.request.urlopen(request.url):
        pass
    with closing(error.value):
        assert b"X-Amz-Expires parameters" in error.value.read()


@pytest.fixture(scope="module")
def user(strict: LiveServer) -> tuple[str, str]:
    """Make a user who may do everything with queues but make and delete them, and nothing else."""
    iam = client(strict, "iam")
    iam.create_user(UserName="limited")
    statements = [
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["sqs:CreateQueue", "sqs:DeleteQueue"], "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="limited", PolicyName="queues", PolicyDocument=document)
    key = iam.create_access_key(UserName="limited")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def send(
    live: LiveServer,
    keys: tuple[str, str],
    method: str,
    path: str,
    body: bytes = b"",
    service: str = "sqs",
    auth: Any = SigV4Auth,
    **headers: str,
) -> tuple[int, bytes]:
    """Send a request that is signed well, whatever it says; give status and body."""
    named = {name.replace("__", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"{live.url}{path}", data=body, headers=named)
    auth(Credentials(*keys), service, "us-east-1").add_auth(request)
    sent = dict(request.prepare().headers.items())
    if "extra" in sent:  # a first part of the header that moto takes for the credential
        sent["Authorization"] = sent["Authorization"].replace("256 ", f"256 {sent.pop('extra')}, ", 1)
    place = urlsplit(request.url)
    with closing(http.client.HTTPConnection(str(place.netloc))) as connection:
        connection.request(method, f"{place.path}?{place.query}", body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()


JSON = "application/x-amz-json-1.0"
LIST, CREATE = "AmazonSQS.ListQueues", "AmazonSQS.CreateQueue"


def test_nobody_acts_in_another_account_through_moto(strict: LiveServer) -> None:
    """A header with underscores stands, in moto's environment, for one with dashes: that of the account."""
    body = b'{"QueueName":"theirs"}'
    keys = (ACCESS, SECRET)
    status, text = send(strict, keys, "POST", "/", body, X__Amz__Target=CREATE, Content__Type=JSON,
                       x_moto_account_id="444455556666")  # fmt: skip
    assert (status, b"/111122223333/theirs" in text) == (200, True), text
    assert "QueueUrls" not in client(strict, "sqs", "444455556666", "another").list_queues()


@pytest.mark.parametrize(("method", "path"), [("GET", "/moto-api/data.json"), ("POST", "/moto-api/reset"),
                                              ("GET", "/moto-api/recorder/download-recording"),
                                              ("GET", "/latest/meta-data/iam/")])  # fmt: skip
def test_motos_own_pages_are_not_asked(strict: LiveServer, method: str, path: str) -> None:
    client(strict, "sqs", "444455556666", "another").create_queue(QueueName="kept")
    status, text = send(strict, (ACCESS, SECRET), method, path)
    assert (status, b"444455556666" in text) == (404, False), text
    assert "QueueUrls" in client(strict, "sqs", "444455556666", "another").list_queues()


def test_moto_does_what_was_judged(strict: LiveServer, user: tuple[str, str]) -> None:
    """Of several services and operations that a request names, it is not asked about one and done by another."""
    queue = client(strict, "sqs").create_queue(QueueName="safe")["QueueUrl"]
    assert send(strict, user, "POST", "/", b"{}", X__Amz__Target=LIST, Content__Type=JSON)[0] == 200
    assert send(strict, user, "GET", "/2015-03-31/functions/", service="lambda")[0] == 403
    form = urlencode({"Action": "DeleteQueue", "QueueUrl": queue, "Version": "2012-11-05"})
    text = json.dumps({"QueueUrl": queue, "x": "&Action=DeleteQueue&"}).encode()
    tried = [
        send(strict, user, "POST", f"/?{form}", b"{}", X__Amz__Target=LIST, Content__Type=JSON),
        send(strict, user, "POST", "/?Action=ListQueues", form.encode(), Content__Type=FORM),
        send(strict, user, "POST", "/", form.encode(), X__Amz__Target=LIST, Content__Type=FORM),
        send(strict, user, "POST", "/", text, X__Amz__Target=LIST, Content__Type=JSON),
        send(strict, user, "POST", "/", form.encode(), Content__Type="text/plain"),
    ]
    assert client(strict, "sqs").get_queue_url(QueueName="safe")["QueueUrl"] == queue, tried
    functions = [
        send(strict, user, "GET", "/2015-03-31/functions/", extra="X=a/b/us-east-1/lambda/aws4_request"),
        send(strict, user, "GET", "/2015-03-31/functions/", auth=SigV4QueryAuth),
    ]
    assert all(b"Functions" not in text for _, text in functions), functions


def test_s3_does_not_look_at_a_target(strict: LiveServer, bucket: str) -> None:
    """It led to moto's own S3, where nothing of ours is."""
    status, text = send(strict, (ACCESS, SECRET), "GET", f"/{bucket}?list-type=2", service="s3", auth=S3SigV4Auth,
                       X__Amz__Target="A.B")  # fmt: skip
    assert (status, f"<Name>{bucket}</Name>".encode() in text) == (200, True), text


def test_nobody_says_himself_where_he_comes_from(strict: LiveServer) -> None:
    s3 = client(strict, "s3")
    s3.create_bucket(Bucket="near")
    s3.put_object(Bucket="near", Key="k", Body=b"1")
    conditions = {"IpAddress": {"aws:SourceIp": "10.9.8.7/32"}, "Bool": {"aws:SecureTransport": "true"}}
    for condition, value in conditions.items():
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::near/*"}
        document = {"Version": "2012-10-17", "Statement": [{**allow, "Condition": {condition: value}}]}
        s3.delete_public_access_block(Bucket="near")
        s3.put_bucket_policy(Bucket="near", Policy=json.dumps(document))
        said = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https"}
        request = urllib.request.Request(f"{strict.url}/near/k", headers=said)
        with pytest.raises(urllib.error.HTTPError, match="403") as error, urllib.request.urlopen(request):
            pass
        error.value.close()


@pytest.mark.parametrize("change", ["none", "trailer", "signature", "no trailer"])
def test_trailers_are_verified_however_the_body_ends(strict: LiveServer, bucket: str, change: str) -> None:
    """Also where the end of the request comes by itself, when the reader has its last line already."""
    crc = base64.b64encode(zlib.crc32(b"body").to_bytes(4, "big")).decode()
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    request = AWSRequest("PUT", f"{strict.url}/{bucket}/trailed-{change.replace(' ', '-')}")
    request.headers["x-amz-content-sha256"] = kind
    request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    request.headers["x-amz-decoded-content-length"] = "4"

    class Streaming(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, request: Any) -> str:
            return str(request.headers["x-amz-content-sha256"])

        def _modify_request_before_signing(self, request: Any) -> None:
            SigV4Auth._modify_request_before_signing(self, request)

    Streaming(Credentials(ACCESS, SECRET), "s3", "us-east-1").add_auth(request)
    sent = {**dict(request.prepare().headers.items()), "Transfer-Encoding": "chunked"}
    del sent["Content-Length"]
    scope = sent["Authorization"].partition(f"{ACCESS}/")[2].partition(",")[0]
    seed = sent["Authorization"].rpartition("Signature=")[2]
    wire = chunked_by_hand([b"body"], {"x-amz-checksum-crc32": crc}, scope, sent["X-Amz-Date"], seed)
    signature = wire.rpartition(b"signature:")[2]
    cut = wire.index(b"x-amz-checksum")
    wire = {
        "trailer": wire.replace(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32:  ").replace(
            crc.encode(), b"AAAAAA=="
        ),
        "signature": wire.replace(signature, signature[::-1].replace(b"\n\r", b"") + b"\r\n\r\n"),
        "no trailer": wire[:cut] + b"\r\n",
    }.get(change, wire)
    place = urlsplit(strict.url)
    with closing(http.client.HTTPConnection(str(place.netloc), timeout=20)) as connection:
        connection.putrequest("PUT", urlsplit(request.url).path, skip_accept_encoding=True, skip_host=True)
        for name, value in {"Host": place.netloc, **sent}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n" % (len(wire), wire))  # and the end of the request is still to come
        answer = connection.getresponse()
        text = answer.read()
    assert (answer.status, b"SignatureDoesNotMatch" in text) == ((200, False) if change == "none" else (403, True)), (
        text
    )


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_session_presigns(strict: LiveServer, bucket: str, version: str) -> None:
    """Its token is in the URL: part of what is signed, and of no use to another."""
    iam, s3 = client(strict, "iam"), client(strict, "s3")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    name = f"presigns-{version}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    made = client(strict, "sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    given = made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
    s3.put_object(Bucket=bucket, Key="shared", Body=b"1")
    session = client(strict, "s3", *given, signature_version=version)
    url = session.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "shared"})
    assert "security-token=" in url.lower()
    assert status_of(url) == 200
    assert status_of(re.sub("(?i)security-token=[^&]*", lambda match: f"{match[0]}x", url)) in {400, 403}
