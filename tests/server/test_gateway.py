"""What a client is answered, whatever it sends: AWS's answer, in the protocol of the service it asked."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from server import waiters

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import LiveServer

SCOPE = (
    "AWS4-HMAC-SHA256 Credential={account}/20261123/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
)


def post(
    server: LiveServer, body: bytes, headers: dict[str, str], path: str = "/", method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(f"{server.url}{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def sagemaker(server: LiveServer, operation: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    given = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SCOPE.format(account="123456789012", service="sagemaker"),
    }
    return post(server, body, {**given, **headers})


@pytest.mark.parametrize(
    ("operation", "body", "status", "code"),
    [
        ("NoSuchOperation", b"{}", 400, "UnknownOperationException"),
        ("CreateModel", b"{", 400, "SerializationException"),
        ("CreateModel", b"[]", 400, "SerializationException"),
        ("CreateModel", b'{"ModelName": 5}', 400, "SerializationException"),
        ("CreateModel", b'{"ModelName": "\xff"}', 400, "SerializationException"),
        ("CreateModel", b"{}", 400, "ValidationException"),
        ("DescribeModel", b"", 400, "ValidationException"),
        ("CreateApp", b'{"DomainId":"d-123","AppType":"JupyterLab","AppName":"a"}', 501, "NotImplemented"),
    ],
)
def test_bad_json_requests(server: LiveServer, operation: str, body: bytes, status: int, code: str) -> None:
    answered, headers, content = sagemaker(server, operation, body)
    assert answered == status
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert json.loads(content)["__type"] == code
    assert headers["x-amzn-requestid"]


def test_a_missing_member_is_named_as_aws_names_it(server: LiveServer) -> None:
    _, _, content = sagemaker(server, "CreateModel", b"{}")
    message = json.loads(content).get("message") or json.loads(content)["Message"]
    assert message == (
        "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    )


def test_an_oversized_body_is_refused_before_it_is_read(server: LiveServer) -> None:
    status, _, content = sagemaker(server, "CreateModel", b" " * (33 * 1024 * 1024))
    assert status == 413
    assert json.loads(content)["__type"] == "RequestEntityTooLargeException"


def test_an_unknown_host_and_path_answer_in_xml_as_s3(server: LiveServer) -> None:
    status, headers, content = post(server, b"", {"Host": "nowhere.internal"}, "/no-such-bucket/key", "GET")
    assert status == 404
    assert headers["content-type"].startswith("application/xml")
    assert b"<Code>NoSuchBucket</Code>" in content


def test_runtime_errors_have_the_runtimes_form(server: LiveServer) -> None:
    headers = {"Authorization": SCOPE.format(account="123456789012", service="sagemaker")}
    status, answered, content = post(server, b"1", headers, "/endpoints/missing/invocations")
    assert status == 400
    assert answered["x-amzn-errortype"] == "ValidationError"
    assert json.loads(content)["Message"] == "Endpoint missing of account 123456789012 not found."


def test_an_unsigned_form_is_routed_by_its_action(server: LiveServer) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    status, _, content = post(server, b"Action=GetCallerIdentity&Version=2011-06-15", headers)
    assert status == 200
    assert b"<Account>000000000000</Account>" in content


def test_services_of_others_are_answered_by_moto(aws: Callable[..., Any], account: str) -> None:
    queues = aws("sqs")
    url = queues.create_queue(QueueName="mine")["QueueUrl"]
    assert f"/{account}/mine" in url
    queues.send_message(QueueUrl=url, MessageBody="hello")
    assert queues.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
    other = aws("sqs", account="777788889999")
    assert "QueueUrls" not in other.list_queues()


def test_an_assumed_role_carries_its_account(server: LiveServer, aws: Callable[..., Any]) -> None:
    import boto3

    role = "arn:aws:iam::444455556666:role/Other"
    issued = aws("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    session = boto3.session.Session(
        issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"], region_name="us-east-1"
    )
    identity = session.client("sts", endpoint_url=server.url).get_caller_identity()
    assert identity["Account"] == "444455556666"
    assert identity["Arn"] == "arn:aws:sts::444455556666:assumed-role/Other/me"


def test_an_issued_key_ends(server: LiveServer, aws: Callable[..., Any]) -> None:
    """Never issued, past its end by its account's clock, forgotten by a reset: refused, not another account's."""
    with pytest.raises(ClientError, match="InvalidClientTokenId") as refused:
        aws("sts", account="ASIALMNEVERISSUEDAAA").get_caller_identity()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        aws("s3", account="ASIALMNEVERISSUEDAAA").list_buckets()
    for end, account, code in (
        ("clock", "666677778888", "ExpiredToken"),
        ("reset", "666677778889", "InvalidClientTokenId"),
    ):
        given = {"account": account}
        role = f"arn:aws:iam::{given['account']}:role/Other"
        issued = aws("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
        sts = aws("sts", account=issued["AccessKeyId"])
        assert sts.get_caller_identity()["Account"] == given["account"]
        body = json.dumps(given | ({"advance_s": 7200} if end == "clock" else {})).encode()
        assert post(server, body, {"Content-Type": "application/json"}, f"/_localmaker/{end}")[0] == 200
        with pytest.raises(ClientError, match=code):
            sts.get_caller_identity()


def test_the_seeded_role_is_there_and_trusts_sagemaker(aws: Callable[..., Any], account: str) -> None:
    arn = aws("sts").get_caller_identity()["Arn"]
    name = arn.split("/")[1]
    role = aws("iam").get_role(RoleName=name)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{account}:role/{name}"
    statement = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}


def test_roles_live_as_long_as_they_are_wanted(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName="mine", AssumeRolePolicyDocument=policy)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="mine", AssumeRolePolicyDocument=policy)
    iam.attach_role_policy(RoleName="mine", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    iam.put_role_policy(RoleName="mine", PolicyName="inline", PolicyDocument=policy)
    assert iam.get_role_policy(RoleName="mine", PolicyName="inline")["PolicyDocument"]["Statement"] == []
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_role(RoleName="mine")
    iam.detach_role_policy(RoleName="mine", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    iam.delete_role_policy(RoleName="mine", PolicyName="inline")
    iam.delete_role(RoleName="mine")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="mine")
    assert "mine" not in [
        role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]
    ]


@pytest.mark.parametrize("alias", ["_localmaker", "_localstack"])
def test_health(server: LiveServer, alias: str) -> None:
    with urllib.request.urlopen(f"{server.url}/{alias}/health", timeout=10) as answer:
        health = json.load(answer)
    assert health["status"] == "ready"
    assert {"sagemaker", "s3", "sts", "iam", "logs"} <= health["services"].keys()
    assert "process" in health["runner"]
    assert health["parked_events"] == []


def test_the_clock_moves_one_account_only(server: LiveServer, aws: Callable[..., Any], account: str) -> None:
    body = json.dumps({"account": account, "advance_s": 86_400}).encode()
    status, _, _ = post(server, body, {"Content-Type": "application/json"}, "/_localmaker/clock")
    assert status == 200
    container = {"PrimaryContainer": {"Image": "i"}}
    own, other = aws("sagemaker"), aws("sagemaker", account="121212121212")
    for client in (own, other):
        client.create_model(ModelName="clocked", **container)
    ahead = own.describe_model(ModelName="clocked")["CreationTime"].timestamp() - time.time()
    level = other.describe_model(ModelName="clocked")["CreationTime"].timestamp() - time.time()
    assert 86_300 < ahead < 86_500
    assert abs(level) < 60
    other.delete_model(ModelName="clocked")


def test_reset_forgets_one_account_only(server: LiveServer, aws: Callable[..., Any], account: str) -> None:
    own, other = aws("sagemaker"), aws("sagemaker", account="343434343434")
    for client in (own, other):
        client.create_model(ModelName="reset", PrimaryContainer={"Image": "i"})
    body = json.dumps({"account": account}).encode()
    assert post(server, body, {"Content-Type": "application/json"}, "/_localmaker/reset")[0] == 200
    with pytest.raises(ClientError):
        own.describe_model(ModelName="reset")
    assert other.describe_model(ModelName="reset")["ModelName"] == "reset"
    other.delete_model(ModelName="reset")


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_cannot_reset(server: LiveServer, headers: dict[str, str]) -> None:
    sent = {"Content-Type": "application/json", **headers}
    assert post(server, b'{"account": null}', sent, "/_localmaker/reset")[0] == 403
    assert post(server, b"", {}, "/_localmaker/reset")[0] == 422


def test_many_clients_at_once_get_their_own_answers(aws: Callable[..., Any], account: str) -> None:
    client = aws("sagemaker", max_pool_connections=16)

    def one(number: int) -> str:
        name = f"parallel-{number}"
        client.create_model(ModelName=name, PrimaryContainer={"Image": "i"})
        described: str = client.describe_model(ModelName=name)["ModelName"]
        return described

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(one, range(64))) == sorted(f"parallel-{n}" for n in range(64))


def test_log_pages_end_with_an_empty_one_and_a_stable_token(aws: Callable[..., Any]) -> None:
    logs = aws("logs")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.describe_log_streams(logGroupName="/none")
    logs.create_log_group(logGroupName="/mine")
    logs.create_log_stream(logGroupName="/mine", logStreamName="s")
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName="/mine",
        logStreamName="s",
        logEvents=[{"timestamp": now + n, "message": f"line {n}"} for n in range(25)],
    )
    seen: list[str] = []
    given: dict[str, Any] = {"startFromHead": True}
    while True:
        page = logs.get_log_events(logGroupName="/mine", logStreamName="s", limit=10, **given)
        seen += [event["message"] for event in page["events"]]
        if given.get("nextToken") == page["nextForwardToken"]:
            assert page["events"] == []
            break
        given = {"nextToken": page["nextForwardToken"]}
    assert seen == [f"line {n}" for n in range(25)]
    last = logs.get_log_events(logGroupName="/mine", logStreamName="s", limit=3)["events"]
    assert [event["message"] for event in last] == ["line 22", "line 23", "line 24"]
    filtered = logs.filter_log_events(logGroupName="/mine", startTime=now + 20)["events"]
    assert [event["message"] for event in filtered] == [f"line {n}" for n in range(20, 25)]
    logs.delete_log_group(logGroupName="/mine")
    assert logs.describe_log_groups(logGroupNamePrefix="/mine")["logGroups"] == []


@pytest.mark.parametrize(
    ("agent", "is_one"),
    [
        ("Boto3/1.44.5 md/Botocore#1.44.5 m/B,D cfg/retry-mode#legacy", True),
        ("Boto3/1.44.5 m/Z,b cfg/retry-mode#legacy", False),
        ("Boto3/1.44.5 md/B", False),
        ("curl/8", False),
    ],
)
def test_only_a_waiters_call_is_held(agent: str, *, is_one: bool) -> None:
    assert waiters.is_waiter(agent) is is_one


@pytest.mark.parametrize(
    ("operation", "answer", "over"),
    [
        ("DescribeTrainingJob", {"TrainingJobStatus": "InProgress"}, False),
        ("DescribeTrainingJob", {"TrainingJobStatus": "Stopped"}, True),
        ("DescribeTrainingJob", {"TrainingJobStatus": "Failed"}, True),
        ("DescribeEndpoint", {"EndpointStatus": "Creating"}, False),
        ("DescribeEndpoint", {"EndpointStatus": "InService"}, True),
        ("DescribeImage", {"ImageStatus": "CREATED"}, True),
    ],
)
def test_a_wait_ends_as_botocores_acceptors_say(operation: str, answer: dict[str, str], *, over: bool) -> None:
    assert waiters.ends("sagemaker", operation, answer) is over


def test_moto_answers_nothing_whose_service_nobody_names(server: LiveServer) -> None:
    status, headers, content = post(
        server, b"Action=CreateQueue&QueueName=q", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert status == 403
    assert b"MissingAuthenticationToken" in content
    scope = SCOPE.format(account="123456789012", service="sqs")
    status, headers, content = post(server, b"Action=ListQueues&Version=2012-11-05", {"Authorization": scope})
    assert "access-control-allow-origin" not in {name.lower() for name in headers}
