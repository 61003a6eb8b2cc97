"""Signatures under `LOCALMAKER_AUTH=enforce`: what botocore signs is let in, and what is not signed just so changes nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import io
import os
import random
import string
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from api_specs import model
from backends.core.errors import AwsError
from backends.core.keys import Key
from backends.core.settings import Settings
from server.authentication import canonical, failures, sigv2, sigv4
from server.control import credentials, listening
from server.exchange import Exchange
from server.route import OWN
from server.types import HttpRequest
from tests.conftest import LiveServer
from tests.server.in_process import InProcessClient, with_gateway
from tests.server.test_fuzz import valid_requests
from tests.site import RUN_SCRIPT, SCIKIT_LEARN, channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "111122223333"
ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEYS = f"""
[default]
aws_access_key_id = {ACCESS}
aws_secret_access_key = {SECRET}
aws_account_id = {ACCOUNT}

[other]
aws_access_key_id = 444455556666
aws_secret_access_key = another
"""
CODES = {code for words in failures.WORDS.values() for code, _, _ in words.values()}
EXAMPLES = int(os.environ.get("LOCALMAKER_TEST_EXAMPLES", "1")) * 25


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def bucket(strict: LiveServer) -> str:
    client(strict, "s3").create_bucket(Bucket="signed")
    return "signed"


def client(
    live: LiveServer,
    service: str,
    access: str = ACCESS,
    secret: str = SECRET,
    token: str | None = None,
    region: str = "us-east-1",
    **config: Any,
) -> Any:
    return boto3.client(
        service,
        endpoint_url=live.url,
        region_name=region,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def status_of(url: str, body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(url, body) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code


CALLS: dict[str, Any] = {
    "sagemaker": lambda c: c.list_models(),
    "sagemaker-runtime": lambda c: c.invoke_endpoint(EndpointName="none", Body=b"1"),
    "sagemaker-featurestore-runtime": lambda c: c.get_record(FeatureGroupName="f", RecordIdentifierValueAsString="1"),
    "sagemaker-metrics": lambda c: c.batch_get_metrics(
        MetricQueries=[
            {
                "MetricName": "a",
                "ResourceArn": "arn:aws:sagemaker:us-east-1:111122223333:experiment-trial/a",
                "MetricStat": "Min",
                "Period": "OneMinute",
                "XAxisType": "IterationNumber",
            }
        ]
    ),
    "sagemaker-a2i-runtime": lambda c: c.describe_human_loop(HumanLoopName="a"),
    "sagemaker-edge": lambda c: c.get_device_registration(DeviceName="d", DeviceFleetName="f"),
    "sagemaker-geospatial": lambda c: c.list_raster_data_collections(),
    "s3": lambda c: c.list_buckets(),
    "sts": lambda c: c.get_caller_identity(),
    "iam": lambda c: c.list_roles(),
    "logs": lambda c: c.describe_log_groups(),
    "sqs": lambda c: c.list_queues(),
    "kms": lambda c: c.list_keys(),
    "lambda": lambda c: c.list_functions(),
    "cloudwatch": lambda c: c.list_metrics(),
    "ecr": lambda c: c.describe_repositories(),
    "events": lambda c: c.list_rules(),
    "scheduler": lambda c: c.list_schedules(),
}
SENT_UNKNOWN = {"s3": "InvalidAccessKeyId", "sts": "InvalidClientTokenId", "iam": "InvalidClientTokenId"}
SENT_WRONG = {"s3": "SignatureDoesNotMatch", "sts": "SignatureDoesNotMatch", "iam": "SignatureDoesNotMatch"}


REFUSALS = {
    *SENT_UNKNOWN.values(), *SENT_WRONG.values(), "AccessDenied", "UnrecognizedClientException",
    "InvalidSignatureException",
}  # fmt: skip


def answered(call: Any, made: Any) -> str:
    """Return the code of an answer; nothing for a success."""
    try:
        call(made)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize("service", CALLS)
def test_every_service_lets_in_what_is_signed_and_refuses_everything_else(strict: LiveServer, service: str) -> None:
    call = CALLS[service]
    assert answered(call, client(strict, service)) not in REFUSALS  # not found, or not built, is past authentication
    with pytest.raises(ClientError) as wrong:
        call(client(strict, service, secret="wrong"))
    assert code_of(wrong) in {SENT_WRONG.get(service), "InvalidSignatureException"}
    with pytest.raises(ClientError) as unknown:
        call(client(strict, service, access="AKIANOBODY0000000000"))
    assert code_of(unknown) in {SENT_UNKNOWN.get(service), "UnrecognizedClientException"}
    with pytest.raises(ClientError) as unsigned:
        call(client(strict, service, signature_version=UNSIGNED))
    status = unsigned.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == (404 if service == "scheduler" else 403)  # an unsigned `/schedules` is a bucket that is not there


def test_a_key_is_of_the_account_that_the_file_says(strict: LiveServer) -> None:
    assert client(strict, "sts").get_caller_identity()["Account"] == ACCOUNT
    assert client(strict, "sts", "444455556666", "another").get_caller_identity()["Account"] == "444455556666"


def test_credentials_of_assume_role_work_with_their_token_only(strict: LiveServer) -> None:
    role = client(strict, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
    given_ = client(strict, "sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    keys = (given_["AccessKeyId"], given_["SecretAccessKey"])
    arn = client(strict, "sts", *keys, given_["SessionToken"]).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/SageMakerExecutionRole/me"
    for token in (None, "another"):
        with pytest.raises(ClientError) as error:
            client(strict, "sts", *keys, token).get_caller_identity()
        assert code_of(error) == "InvalidClientTokenId"
        with pytest.raises(ClientError) as error:
            client(strict, "s3", *keys, token).list_buckets()
        assert code_of(error) == "InvalidToken"


def send(live: LiveServer, request: AWSRequest, body: Any = None) -> tuple[int, bytes]:
    """Send a request just as it was signed."""
    prepared = request.prepare()
    place = urlsplit(prepared.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    target = place.path + (f"?{place.query}" if place.query else "")
    connection.request(prepared.method, target, prepared.body if body is None else body, dict(prepared.headers))
    answer = connection.getresponse()
    reply = answer.status, answer.read()
    connection.close()
    return reply


def at(moment: dt.datetime, signer: Any, request: AWSRequest, monkeypatch: pytest.MonkeyPatch) -> AWSRequest:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: moment.replace(tzinfo=None))
    signer.add_auth(request)
    return request


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_wrong_by_more_than_a_quarter_of_an_hour(
    strict: LiveServer, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    s3 = AWSRequest("GET", f"{strict.url}/", headers={"x-amz-content-sha256": canonical.EMPTY_SHA256})
    status, content = send(
        strict, at(moment, S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", "us-east-1"), s3, monkeypatch)
    )
    assert status == 403
    assert b"<Code>RequestTimeTooSkewed</Code>" in content
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    sts = AWSRequest("POST", f"{strict.url}/", data=b"Action=GetCallerIdentity&Version=2011-06-15", headers=form)
    status, content = send(
        strict, at(moment, SigV4Auth(Credentials(ACCESS, SECRET), "sts", "us-east-1"), sts, monkeypatch)
    )
    assert status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in content
    assert (b"Signature expired" if minutes < 0 else b"Signature not yet current") in content


def forbidden(*_: object) -> None:
    raise AssertionError("a handler was reached")


def test_no_operation_is_reached_without_a_good_signature(tmp_path: Path) -> None:
    """Every service's operations (some of the largest's): unsigned, by an unknown key, wrongly signed, from long ago."""
    source = random.Random(3)
    pool = [
        (service, request)
        for service in OWN
        for name in source.sample(sorted(model.operations(service)), min(12, len(model.operations(service))))
        for request in valid_requests(service, name)[:1]
    ]
    assert {service for service, _ in pool} == set(OWN)
    (tmp_path / "keys").write_text(KEYS)
    today, old = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ"), "20200101T000000Z"

    async def work(client: InProcessClient) -> None:
        kernel = client.gateway.kernel
        kernel.operations = {key: replace(known, handler=forbidden) for key, known in kernel.operations.items()}
        for service, request in pool:
            bare = {name: value for name, value in request.headers.items() if name != "authorization"}
            name = request.headers["authorization"].split("/")[3]
            for key, date in (("", today), ("AKIANOBODY0000000000", today), (ACCESS, today), (ACCESS, old)):
                signed = ";".join(sorted({*(each for each in bare if each.startswith("x-amz-")), "host", "x-amz-date"}))
                scope = f"{key}/{date[:8]}/us-east-1/{name}/aws4_request"
                header = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={'0' * 64}"
                headers = bare | {"x-amz-date": date} | ({"authorization": header} if key else {})
                if service == "s3":
                    headers["x-amz-content-sha256"] = hashlib.sha256(request.body).hexdigest()
                answer = await client.send(replace(request, headers=headers))
                if not key and answer.status == 404:  # S3 says to anybody that there is no such bucket
                    assert service in {"s3", "scheduler"}, service  # whose paths, unsigned, are buckets and keys
                    assert request.method == "HEAD" or b"NoSuchBucket" in bytes(answer.body)  # type: ignore[arg-type]
                    continue
                assert answer.status in {400, 403}, (service, request, answer)
                codes = [code for code in CODES if code.encode() in str(answer.headers).encode() + bytes(answer.body)]  # type: ignore[arg-type]
                assert codes or request.method == "HEAD", (service, request, answer)

    with_gateway(tmp_path / "data", work, auth="enforce", keys_file=tmp_path / "keys")


KEY = Key(ACCESS, SECRET, "", ACCOUNT, "", None, active=True, created=0.0)
SEGMENT = st.text(string.ascii_letters + string.digits + " -_.~!$&'()*+,;=:@%/ü€", min_size=1, max_size=20)
QUERY = st.dictionaries(st.text(string.ascii_letters + "-", min_size=1, max_size=8), SEGMENT, max_size=4)
HEADERS = st.dictionaries(
    st.text(string.ascii_lowercase, min_size=1, max_size=8).map(lambda name: f"x-amz-meta-{name}"),
    st.text(string.ascii_letters + " ,;=", max_size=20).map(str.strip),
    max_size=3,
)
SIGNERS = {
    "header": S3SigV4Auth, "presigned": S3SigV4QueryAuth, "other service": SigV4Auth, "other presigned": SigV4QueryAuth,
    "v2": HmacV1Auth, "v2 presigned": HmacV1QueryAuth,
}  # fmt: skip


def signed_by_botocore(kind: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Exchange:
    """Let botocore sign a request, and read it as the server would."""
    url = f"http://localhost:4566/{quote(path, safe='/~')}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    if "presigned" in kind:
        body = b""  # a URL says nothing of one
    request = AWSRequest("PUT", url, headers=dict(headers), data=body)
    signer = SIGNERS[kind]
    if kind.startswith("v2"):
        signer(Credentials(ACCESS, SECRET)).add_auth(request)
    else:
        service = "sagemaker" if kind.startswith("other") else "s3"
        signer(Credentials(ACCESS, SECRET), service, "us-east-1").add_auth(request)
    prepared = request.prepare()
    place = urlsplit(prepared.url)
    sent = {
        name.lower(): value if isinstance(value, str) else value.decode() for name, value in prepared.headers.items()
    }
    sent.setdefault("host", "localhost:4566")
    return exchange_of(place.path.encode(), place.query.encode(), sent, body, "sagemaker" if "other" in kind else "s3")


def exchange_of(raw_path: bytes, query: bytes, headers: dict[str, str], body: bytes, service: str) -> Exchange:
    request = HttpRequest("PUT", unquote(raw_path.decode()), raw_path, query, headers, body, host=headers["host"])
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    kernel: Any = None
    receive: Any = None
    made = Exchange(kernel, request, {"raw_path": raw_path, "headers": pairs}, receive)
    made.service = service
    return made


def check(exchange: Exchange, kind: str) -> None:
    (sigv2 if kind.startswith("v2") else sigv4).verify(exchange, KEY)


@pytest.mark.parametrize("kind", SIGNERS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(path=SEGMENT, query=QUERY, headers=HEADERS, body=st.binary(max_size=40))
def test_what_botocore_signs_is_let_in(
    kind: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    check(signed_by_botocore(kind, path, query, headers, body), kind)


def changed(exchange: Exchange, what: str) -> Exchange:
    """Change one thing of a signed request, as somebody on the way could."""
    request = exchange.request
    raw, query, headers, body = request.raw_path, request.query_string, dict(request.headers), request.body
    if what == "path":
        raw += b"x"
    elif what == "query":
        query = (query + b"&" if query else b"") + b"versionId=1"
    elif what == "header":
        headers["x-amz-meta-added"] = "1"
    elif what == "host":
        headers["host"] = "elsewhere:4566"
    elif what == "body":
        body += b"x"
    elif what == "method":
        request.method = "DELETE"
    made = exchange_of(raw, query, headers, body, exchange.service)
    made.request.method = request.method
    return made


@pytest.mark.parametrize("kind", SIGNERS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(path=SEGMENT, query=QUERY, body=st.binary(max_size=40), data=st.data())
def test_what_was_changed_on_the_way_is_refused(
    kind: str, path: str, query: dict[str, str], body: bytes, data: st.DataObject
) -> None:
    parts = ["path", "query", "header", "method"]
    parts += [] if kind.startswith("v2") else ["host"]  # Signature Version 2 does not sign it
    parts += ["body"] if kind == "other service" else []  # S3's bodies are verified as they come: below
    exchange = signed_by_botocore(kind, path, query, {}, body)
    with pytest.raises(AwsError) as refused:
        check(changed(exchange, data.draw(st.sampled_from(parts))), kind)
    assert refused.value.status == 403


def test_a_body_that_is_not_the_signed_one_is_not_kept(strict: LiveServer, bucket: str) -> None:
    for size in (10, 3 << 20):  # kept in the database, and on the disk
        request = AWSRequest("PUT", f"{strict.url}/{bucket}/forged-{size}", data=b"a" * size)
        S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", "us-east-1").add_auth(request)
        status, content = send(strict, request, b"b" * size)
        assert (status, b"XAmzContentSHA256Mismatch" in content) == (400, True)
    assert client(strict, "s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_presigned_urls_of_both_versions(strict: LiveServer, bucket: str) -> None:
    s3 = client(strict, "s3")
    s3.put_object(Bucket=bucket, Key="a b/ü.txt", Body=b"content")
    for version in ("s3", "s3v4"):
        url = client(strict, "s3", signature_version=version).generate_presigned_url(
            "get_object", {"Bucket": bucket, "Key": "a b/ü.txt", "ResponseContentType": "text/plain"}
        )
        with urllib.request.urlopen(url) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"content", "text/plain")
        assert status_of(url.replace("text%2Fplain", "text%2Fhtml")) == 403
    s3.delete_object(Bucket=bucket, Key="a b/ü.txt")


def test_large_streams_signed_and_unsigned(strict: LiveServer, bucket: str) -> None:
    s3 = client(strict, "s3")
    s3.upload_fileobj(io.BytesIO(b"x" * (9 << 20)), bucket, "large")
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == 9 << 20
    s3.delete_object(Bucket=bucket, Key="large")


def test_a_job_trains_with_credentials_of_its_own(strict: LiveServer) -> None:
    """Jobs speak to the server with keys it issued to them; here they read and write S3 as their role."""
    s3 = client(strict, "s3")
    s3.create_bucket(Bucket="jobs-signed")
    code = (
        "import boto3, os\n"
        "s3 = boto3.client('s3')\n"
        "s3.put_object(Bucket='jobs-signed', Key='from-job', Body=b'here')\n"
        "print(boto3.client('sts').get_caller_identity()['Arn'])\n"
    )
    s3.put_object(Bucket="jobs-signed", Key="code/job.py", Body=code.encode())
    sagemaker = client(strict, "sagemaker")
    role = client(strict, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
    sagemaker.create_training_job(
        TrainingJobName="signed", RoleArn=role,
        AlgorithmSpecification={
            "TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File", "ContainerEntrypoint": RUN_SCRIPT,
        },
        InputDataConfig=[channel("code", "s3://jobs-signed/code/")],
        OutputDataConfig={"S3OutputPath": "s3://jobs-signed/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )  # fmt: skip
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="signed")
    assert sagemaker.describe_training_job(TrainingJobName="signed")["TrainingJobStatus"] == "Completed"
    assert s3.get_object(Bucket="jobs-signed", Key="from-job")["Body"].read() == b"here"


def test_a_server_without_a_keys_file_makes_one_that_the_command_line_uses(tmp_path: Path) -> None:
    live = LiveServer(tmp_path / "data", {"auth": "enforce"})
    live.start()
    try:
        assert (live.data_dir / "credentials").stat().st_mode & 0o777 == 0o600
        assert (live.data_dir / "server.json").stat().st_mode & 0o777 == 0o600
        running = listening(Settings.read({}, data_dir=live.data_dir))
        assert running is not None
        access, secret = credentials(running, "000000000000")
        assert client(live, "sts", access, secret).get_caller_identity()["Account"] == "000000000000"
        assert status_of(f"{live.url}/_localmaker/reset", b"{}") == 403
        assert status_of(f"{live.url}/_localmaker/jobs") == 403
        assert status_of(f"{live.url}/_localmaker/health") == 200
        assert running.request("jobs") == {"jobs": []}
        assert running.request("reset", {}) == {"reset": "all"}
    finally:
        live.stop()
