"""Requests forged in every known form, on every kind of service: none passes, and the same request signed well does."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.serialize import create_serializer

from api_specs import model
from server import scope
from tests.conftest import LiveServer
from tests.server.test_authentication import ACCESS, KEYS, SECRET, client

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "444455556666"
ROLE = f"arn:aws:iam::{OTHER}:role/r"


@dataclass(frozen=True)
class Target:
    """A service, a call that its owner may make, and one that leads into another account."""

    service: str
    operation: str
    parameters: dict[str, Any]
    foreign: tuple[str, dict[str, Any]]
    status: int = 200
    hidden: bool = field(default=False, kw_only=True)
    """Everybody may make the call: policies do not deny it."""


def arn(service: str, resource: str, region: str = "us-east-1") -> str:
    return f"arn:aws:{service}:{region}:{OTHER}:{resource}"


TARGETS = [
    Target("sagemaker", "ListModels", {}, ("CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE})),
    Target("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"1"},
           ("InvokeEndpoint", {"EndpointName": arn("sagemaker", "endpoint/e"), "Body": b"1"}), 400),
    Target("s3", "PutObject", {"Bucket": "forged", "Key": "k", "Body": b"1"},
           ("GetObject", {"Bucket": "of-another", "Key": "k"})),
    Target("sts", "GetCallerIdentity", {}, ("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "session"}), hidden=True),
    Target("iam", "CreateUser", {"UserName": "forged"},
           ("AttachUserPolicy", {"UserName": "nobody", "PolicyArn": f"arn:aws:iam::{OTHER}:policy/p"})),
    Target("logs", "CreateLogGroup", {"logGroupName": "/forged"},
           ("GetLogEvents", {"logGroupIdentifier": arn("logs", "log-group:/g"), "logStreamName": "s"})),
    Target("cloudwatch", "ListMetrics", {}, ("ListTagsForResource", {"ResourceARN": arn("cloudwatch", "alarm:a")})),
    Target("ecr", "CreateRepository", {"repositoryName": "forged"},
           ("DescribeRepositories", {"registryId": OTHER})),
    Target("sqs", "CreateQueue", {"QueueName": "forged"},
           ("SendMessage", {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{OTHER}/theirs", "MessageBody": "x"})),
    Target("sns", "CreateTopic", {"Name": "forged"}, ("Publish", {"TopicArn": arn("sns", "t"), "Message": "x"})),
    Target("kms", "CreateKey", {}, ("Encrypt", {"KeyId": arn("kms", "key/k"), "Plaintext": b"x"})),
    Target("dynamodb", "ListTables", {}, ("DescribeTable", {"TableName": arn("dynamodb", "table/t")})),
    Target("lambda", "ListFunctions", {}, ("GetFunction", {"FunctionName": arn("lambda", "function:f")})),
    Target("ssm", "PutParameter", {"Name": "forged", "Value": "x", "Type": "String"},
           ("GetParameter", {"Name": arn("ssm", "parameter/p")})),
    Target("secretsmanager", "ListSecrets", {}, ("GetSecretValue", {"SecretId": arn("secretsmanager", "secret:s")})),
    Target("kinesis", "ListStreams", {}, ("PutRecord", {"StreamARN": arn("kinesis", "stream/s"), "Data": b"x",
                                                        "PartitionKey": "p"})),
    Target("events", "ListRules", {}, ("PutRule", {"Name": "r", "ScheduleExpression": "rate(1 day)", "RoleArn": ROLE})),
    Target("stepfunctions", "ListStateMachines", {},
           ("DescribeStateMachine", {"stateMachineArn": arn("states", "stateMachine:m")})),
    Target("ec2", "DescribeVpcs", {}, ("DescribeImages", {"Owners": [OTHER], "ImageIds": ["ami-1"]})),
    Target("cloudformation", "ListStacks", {}, ("DescribeStacks", {"StackName": arn("cloudformation", "stack/s/1")})),
    Target("route53", "ListHostedZones", {}, ("ListTagsForResource", {"ResourceType": "x", "ResourceId": ROLE})),
]  # fmt: skip
SERVICES = [target.service for target in TARGETS]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that enforces both, where another account has some of everything."""
    folder = tmp_path_factory.mktemp("forged")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "iam": "enforce", "keys_file": folder / "keys"})
    live.start()
    client(live, "s3").create_bucket(Bucket="forged")
    theirs = client(live, "s3", OTHER, "another")
    theirs.create_bucket(Bucket="of-another")
    theirs.put_object(Bucket="of-another", Key="k", Body=b"secret")
    client(live, "sqs", OTHER, "another").create_queue(QueueName="theirs")
    client(live, "logs", OTHER, "another").create_log_group(logGroupName="/g")
    iam = client(live, "iam", OTHER, "another")
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"}}
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(everything))
    yield live
    live.stop()


@pytest.fixture(scope="module")
def nobody(strict: LiveServer) -> tuple[str, str]:
    """Make a user of the account whom no policy lets do anything."""
    iam = client(strict, "iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def unsigned(live: LiveServer, target: Target, operation: str, parameters: dict[str, Any]) -> AWSRequest:
    """Write a request as botocore does."""
    service = model.load_service(target.service)
    shape = service.operation_model(operation)
    given = create_serializer(service.metadata["protocol"], include_validation=False).serialize_to_request(
        parameters, shape
    )
    body = urlencode(given["body"]) if isinstance(given["body"], dict) else given["body"]
    query = urlencode(given["query_string"]) if given["query_string"] else ""
    path = given["url_path"] + (("&" if "?" in given["url_path"] else "?") + query if query else "")
    return AWSRequest(given["method"], live.url + path, data=body, headers=dict(given["headers"]))


def signed(
    request: AWSRequest, name: str, region: str = "us-east-1", keys: tuple[str, str] = (ACCESS, SECRET)
) -> tuple[AWSRequest, dict[str, str]]:
    """Sign a request for a service; give it with its headers."""
    (S3SigV4Auth if name == "s3" else SigV4Auth)(Credentials(*keys), name, region).add_auth(request)
    return request, dict(request.prepare().headers.items())


def send(request: AWSRequest, headers: dict[str, str], body: Any = None, query: str = "") -> tuple[int, bytes]:
    prepared, place = request.prepare(), urlsplit(request.url)
    parts = "&".join(part for part in (place.query, query) if part)
    content = prepared.body if body is None else body
    if content is not None:
        headers = {**headers, "Content-Length": str(len(content))}
    with closing(http.client.HTTPConnection(str(place.netloc), timeout=30)) as connection:
        connection.request(request.method, place.path + (f"?{parts}" if parts else ""), content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def forgeries(live: LiveServer, target: Target, keys: tuple[str, str]) -> Iterator[tuple[str, int, bytes]]:
    """Send a call in every forged form; give the form's name, and the answer."""
    name = model.load_service(target.service).signing_name

    def fresh() -> AWSRequest:
        return unsigned(live, target, target.operation, target.parameters)

    def well(**more: Any) -> tuple[AWSRequest, dict[str, str]]:
        return signed(fresh(), name, **more)

    bare = fresh()
    yield "unsigned", *send(bare, dict(bare.prepare().headers.items()))
    yield "wrong secret", *send(*well(keys=(ACCESS, "wrong")))
    yield "unknown key", *send(*well(keys=("AKIANOBODY0000000000", SECRET)))
    yield "another account's key", *send(*well(keys=(OTHER, SECRET)))
    request, headers = well()
    content = request.prepare().body or b""
    body = content.encode() if isinstance(content, str) else bytes(content)
    yield "altered body", *send(request, headers, body[:-1] + b" " if body else b"x=y")
    yield "altered query", *send(request, headers, query="forged=1")
    credential = headers["Authorization"].partition("Credential=")[2].partition(",")[0]
    yield "doubled query", *send(request, headers, query=urlencode({"X-Amz-Credential": credential}))
    yield "mixed versions", *send(request, headers, query=f"AWSAccessKeyId={ACCESS}&Signature=x&Expires=9999999999")
    text = headers["Authorization"]
    for what, changed in (
        ("doubled credential", text.replace("Credential=", f"Credential={OTHER}/x/x/x/x, Credential=")),
        ("re-aimed region", text.replace("/us-east-1/", "/eu-west-1/")),
        ("re-aimed service", text.replace(f"/{name}/", "/appconfig/")),
        ("re-aimed key", text.replace(ACCESS, OTHER)),
        ("no algorithm", text.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")),
        ("unsigned host", text.replace(";host", "").replace("host;", "")),
    ):
        yield what, *send(request, {**headers, "Authorization": changed})
    yield "later date", *send(request, {**headers, "X-Amz-Date": headers["X-Amz-Date"][:-3] + "99Z"})
    yield "no body hash", *send(request, {**headers, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    elsewhere = fresh()
    prefix = model.load_service(target.service).metadata["endpointPrefix"]
    elsewhere.headers["Host"] = f"{prefix}.us-east-1.amazonaws.com"
    yield "host of another region", *send(*signed(elsewhere, name, "eu-west-1"))
    other = "sns" if name == "sqs" else "sqs"
    if target.service != "s3":  # whose request, signed for a queue, is one of a queue's at another path
        yield "signed for another service", *send(*signed(fresh(), other))
    if not target.hidden:
        yield "without a policy", *send(*well(keys=keys))


@pytest.mark.parametrize("target", TARGETS, ids=SERVICES)
def test_nothing_forged_passes(strict: LiveServer, nobody: tuple[str, str], target: Target) -> None:
    for form, status, text in forgeries(strict, target, nobody):
        assert status in {400, 403}, (form, status, text)
        assert text != b"secret", form
    name = model.load_service(target.service).signing_name
    request, headers = signed(unsigned(strict, target, *target.foreign), name)
    status, text = send(request, headers)
    assert status in {400, 403, 404}, ("another account's ARN", status, text)
    good, headers = signed(unsigned(strict, target, target.operation, target.parameters), name)
    status, text = send(good, headers)
    assert status == target.status, (status, text)  # and what was forged had made nothing of that name


def test_nothing_forged_has_reached_another_account(strict: LiveServer) -> None:
    """What is there of the other account is what it made."""
    assert client(strict, "sqs", OTHER, "another").get_queue_attributes(
        QueueUrl=f"{strict.url}/{OTHER}/theirs", AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"] == {"ApproximateNumberOfMessages": "0"}
    assert len(SERVICES) >= 13


@pytest.mark.slow
def test_every_service_is_known_by_the_name_that_it_is_signed_for() -> None:
    """Else what its clients sign well would be refused."""
    loader, unknown = Loader(), []
    for service in loader.list_available_services("service-2"):
        told = loader.load_service_model(service, "service-2")["metadata"]
        name = told.get("signingName", told["endpointPrefix"])
        if ("targetPrefix" in told or told["protocol"] in {"query", "ec2"}) and service not in scope.services_of(name):
            unknown.append((service, name))
    assert not unknown
