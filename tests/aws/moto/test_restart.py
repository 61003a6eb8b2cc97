"""What moto holds survives kill -9: the same identifiers, messages, functions, keys and secrets.

A story runs up to its `yield`, then the server is killed and started, then the story goes on; one restart serves them all.
"""

from __future__ import annotations

import io
import json
import time
import urllib.parse
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.conftest import AccountClock, until
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ACCOUNT, OTHER = "121212121212", "343434343434"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server of this module's own, which its tests kill."""
    server = LiveServer(tmp_path_factory.mktemp("moto") / "data")
    server.start()
    yield server
    server.end_jobs()
    server.stop()


def restart(live: LiveServer) -> None:
    live.kill()
    live.start()


def bodies(client: Any, url: str, **given: Any) -> dict[str, str]:
    """Receive everything that is visible: bodies by message id."""
    requested = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 0} | given
    return {m["MessageId"]: m["Body"] for m in client.receive_message(QueueUrl=url, **requested).get("Messages", [])}


def queues_and_their_messages(live: LiveServer, account: str) -> Iterator[None]:
    clock = AccountClock(live.url, account)
    queues = live.client("sqs", account)
    url = queues.create_queue(QueueName="work", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    sent = [queues.send_message(QueueUrl=url, MessageBody=f"m{n} \u00e9")["MessageId"] for n in range(4)]
    late = queues.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=60)["MessageId"]
    taken = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=2)["Messages"]
    queues.delete_message(QueueUrl=url, ReceiptHandle=taken[0]["ReceiptHandle"])
    clock.forward(61)
    [last] = [
        m for m in queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"] if m["MessageId"] == late
    ]
    queues.delete_message(QueueUrl=url, ReceiptHandle=last["ReceiptHandle"])
    with pytest.raises(queues.exceptions.QueueDoesNotExist):
        queues.send_message(QueueUrl=url + "-none", MessageBody="lost")
    yield
    queues = live.client("sqs", account)
    assert queues.get_queue_url(QueueName="work")["QueueUrl"].rpartition("/")[2] == "work"
    url = queues.get_queue_url(QueueName="work")["QueueUrl"]
    assert bodies(queues, url) == {}, "they are in flight for ten minutes"
    queues.change_message_visibility(QueueUrl=url, ReceiptHandle=taken[1]["ReceiptHandle"], VisibilityTimeout=0)
    assert set(bodies(queues, url)) == {taken[1]["MessageId"]}
    clock = AccountClock(live.url, account)
    clock.forward(601)
    assert bodies(queues, url) == {m: f"m{sent.index(m)} \u00e9" for m in sent if m != taken[0]["MessageId"]}
    clock.to(time.time())


def functions_of_roles_of_our_iam(live: LiveServer, account: str) -> Iterator[None]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): return event")
    functions = live.client("lambda", account)
    role = live.client("iam", account).create_role(
        RoleName="runs-functions", AssumeRolePolicyDocument=json.dumps(TRUST)
    )["Role"]["Arn"]
    made = functions.create_function(
        FunctionName="f", Role=role, Runtime="python3.11", Handler="main.handler", Code={"ZipFile": packed.getvalue()}
    )
    version = functions.publish_version(FunctionName="f")
    with pytest.raises(functions.exceptions.InvalidParameterValueException, match="cannot be assumed"):
        functions.create_function(
            FunctionName="g", Role=role + "-none", Runtime="python3.11", Handler="main.handler", Code={"ZipFile": b"x"}
        )
    yield
    functions = live.client("lambda", account)
    function = functions.get_function(FunctionName="f")["Configuration"]
    for member in ("FunctionArn", "CodeSha256", "Role", "LastModified"):
        assert function[member] == made[member]
    versions = {entry["Version"]: entry for entry in functions.list_versions_by_function(FunctionName="f")["Versions"]}
    assert versions["1"]["CodeSha256"] == version["CodeSha256"]
    assert set(versions) == {"$LATEST", "1"}


def keys_decrypt_and_verify_what_they_did_before(live: LiveServer, account: str) -> Iterator[None]:
    keys = live.client("kms", account)
    secret = keys.create_key()["KeyMetadata"]["KeyId"]
    keys.create_alias(AliasName="alias/mine", TargetKeyId=secret)
    pair = keys.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
    sealed = keys.encrypt(KeyId="alias/mine", Plaintext=b"plain \x00")["CiphertextBlob"]
    given = {"KeyId": pair, "Message": b"message", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature, public = keys.sign(**given)["Signature"], keys.get_public_key(KeyId=pair)["PublicKey"]
    yield
    keys = live.client("kms", account)
    assert keys.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"plain \x00"
    assert keys.describe_key(KeyId="alias/mine")["KeyMetadata"]["KeyId"] == secret
    assert keys.verify(**given, Signature=signature)["SignatureValid"] is True
    assert keys.get_public_key(KeyId=pair)["PublicKey"] == public


def secrets_keep_name_value_and_version(live: LiveServer, account: str) -> Iterator[None]:
    secrets = live.client("secretsmanager", account)
    made = secrets.create_secret(Name="token", SecretString="one")
    secrets.put_secret_value(SecretId="token", SecretString="two")
    binary = secrets.create_secret(Name="blob", SecretBinary=bytes(range(256)))["ARN"]
    yield
    secrets = live.client("secretsmanager", account)
    secret = secrets.get_secret_value(SecretId=made["ARN"])
    assert (secret["SecretString"], secret["Name"]) == ("two", "token")
    assert secrets.get_secret_value(SecretId=made["ARN"], VersionId=made["VersionId"])["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId=binary)["SecretBinary"] == bytes(range(256))


def who_signed_up_and_what_was_verified_is_still_known(live: LiveServer, account: str) -> Iterator[None]:
    """Their operations begin like KMS's Sign and Verify, which change nothing."""
    pools, mail = live.client("cognito-idp", account), live.client("ses", account)
    pool = pools.create_user_pool(PoolName="p")["UserPool"]["Id"]
    app = pools.create_user_pool_client(UserPoolId=pool, ClientName="c")["UserPoolClient"]["ClientId"]
    pools.sign_up(ClientId=app, Username="ada", Password="Lovelace-1815!")
    mail.verify_email_identity(EmailAddress="ada@example.com")
    yield
    users = live.client("cognito-idp", account).list_users(UserPoolId=pool)["Users"]
    assert [user["Username"] for user in users] == ["ada"]
    assert live.client("ses", account).list_identities()["Identities"] == ["ada@example.com"]


def many_at_once_keep_every_acknowledged_message(live: LiveServer, account: str) -> Iterator[None]:
    queues = live.client("sqs", account)
    url = queues.create_queue(QueueName="many")["QueueUrl"]

    def send(number: int) -> str:
        return str(queues.send_message(QueueUrl=url, MessageBody=str(number))["MessageId"])

    with ThreadPoolExecutor(8) as pool:
        sent = set(pool.map(send, range(200)))
    yield
    queues = live.client("sqs", account)
    received: set[str] = set()
    while len(received) < 200:
        more = set(bodies(queues, url, VisibilityTimeout=600))
        assert more, f"{200 - len(received)} are lost"
        received |= more
    assert received == sent


def an_alarm_tells_a_topic_and_its_queue_keeps_that(live: LiveServer, account: str) -> Iterator[None]:
    topics, queues, alarms = (live.client(name, account) for name in ("sns", "sqs", "cloudwatch"))
    url = queues.create_queue(QueueName="told")["QueueUrl"]
    topic = topics.create_topic(Name="alarms")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{account}:told")
    watched = {"Namespace": "lab", "MetricName": "loss", "Statistic": "Average", "Period": 60, "Threshold": 3.0}
    rule = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
    alarms.put_metric_alarm(AlarmName="a", AlarmActions=[topic, topic + "-none"], **watched, **rule)
    alarms.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="by hand")
    [text] = until(lambda: list(bodies(queues, url, WaitTimeSeconds=5).values()))
    message = json.loads(json.loads(text)["Message"])
    assert (message["AlarmName"], message["NewStateValue"], message["OldStateValue"]) == (
        "a",
        "ALARM",
        "INSUFFICIENT_DATA",
    )
    assert message["Trigger"]["MetricName"] == "loss"
    assert json.loads(text)["Subject"] == 'ALARM: "a" in US East (N. Virginia)'

    def acted() -> Any:
        items = alarms.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
        return items if len(items) == 2 else None

    assert sorted(item["HistorySummary"].split(" ")[0] for item in until(acted)) == ["Failed", "Successfully"]
    yield
    queues = live.client("sqs", account)
    [again] = bodies(queues, queues.get_queue_url(QueueName="told")["QueueUrl"]).values()
    # moto signs with a key that it makes at each start; everything else is what it was.
    assert json.loads(again) | {"Signature": ""} == json.loads(text) | {"Signature": ""}


def a_stack_has_its_resources_once(live: LiveServer, account: str) -> Iterator[None]:
    stacks, sagemaker = live.client("cloudformation", account), live.client("sagemaker", account)
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    model = {"ExecutionRoleArn": role, "PrimaryContainer": {"Image": "image:1"}}
    resources = {"Model": {"Type": "AWS::SageMaker::Model", "Properties": model}}
    template = {"Resources": resources, "Outputs": {"Arn": {"Value": {"Ref": "Model"}}}}
    stacks.create_stack(StackName="stack", TemplateBody=json.dumps(template))
    stacks.create_stack(
        StackName="refused", TemplateBody=json.dumps({"Resources": {"No": {"Type": "AWS::SageMaker::No"}}})
    )
    [made] = sagemaker.list_models()["Models"]
    yield
    stacks, sagemaker = live.client("cloudformation", account), live.client("sagemaker", account)
    shown = {each["StackName"]: each for each in stacks.describe_stacks()["Stacks"]}
    assert [shown[name]["StackStatus"] for name in ("stack", "refused")] == ["CREATE_COMPLETE", "ROLLBACK_COMPLETE"]
    assert shown["stack"]["Outputs"][0]["OutputValue"] == made["ModelArn"]
    assert sagemaker.list_models()["Models"] == [made]
    stacks.delete_stack(StackName="stack")
    assert sagemaker.list_models()["Models"] == []


STORIES = (
    a_stack_has_its_resources_once,
    who_signed_up_and_what_was_verified_is_still_known,
    queues_and_their_messages,
    functions_of_roles_of_our_iam,
    keys_decrypt_and_verify_what_they_did_before,
    secrets_keep_name_value_and_version,
    many_at_once_keep_every_acknowledged_message,
    an_alarm_tells_a_topic_and_its_queue_keeps_that,
)


@pytest.fixture(scope="module")
def told(live: LiveServer) -> list[Iterator[None]]:
    """Run every story, each in an account of its own, up to where the server is killed."""
    stories = [story(live, f"{500_000_000_000 + number}") for number, story in enumerate(STORIES)]
    for story in stories:
        next(story)
    restart(live)
    return stories


@pytest.mark.parametrize("number", range(len(STORIES)), ids=[story.__name__ for story in STORIES])
def test_after_a_crash(told: list[Iterator[None]], number: int) -> None:
    assert next(told[number], "over") == "over"


@pytest.mark.parametrize(("name", "waits"), [("asked", {"WaitTimeSeconds": 20}), ("by-the-queue", {})])
def test_a_long_poll_hears_of_a_message_that_comes_meanwhile(
    live: LiveServer, name: str, waits: dict[str, int]
) -> None:
    queues = live.client("sqs", ACCOUNT, max_pool_connections=4)
    url = queues.create_queue(QueueName=name, Attributes={"ReceiveMessageWaitTimeSeconds": "20"})["QueueUrl"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bodies, queues, url, **waits)
        queues.send_message(QueueUrl=url, MessageBody="now")
        assert list(waiting.result(10).values()) == ["now"]
    began = time.monotonic()
    assert bodies(queues, queues.create_queue(QueueName="empty")["QueueUrl"], WaitTimeSeconds=1) == {}
    assert time.monotonic() - began >= 0.9
    with pytest.raises(ClientError, match="WaitTimeSeconds is invalid"):
        bodies(queues, url, WaitTimeSeconds=21)


def test_a_long_poll_in_a_form_waits_and_hears_too(live: LiveServer) -> None:
    url = live.client("sqs", ACCOUNT).create_queue(QueueName="form")["QueueUrl"]
    scope = (
        f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
    )
    form = {"Action": "ReceiveMessage", "QueueUrl": url, "WaitTimeSeconds": "20", "Version": "2012-11-05"}
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, body, {"Authorization": scope})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: urllib.request.urlopen(request, timeout=15).read())
        live.client("sqs", ACCOUNT).send_message(QueueUrl=url, MessageBody="spoken in XML")
        assert b"<Body>spoken in XML</Body>" in waiting.result(15)


def test_a_reset_forgets_one_account_for_good(live: LiveServer) -> None:
    for account in (ACCOUNT, OTHER):
        live.client("sqs", account).create_queue(QueueName="shared-name")
    body = json.dumps({"account": OTHER}).encode()
    request = urllib.request.Request(f"{live.url}/_localmaker/reset", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60):
        pass
    for _ in range(2):
        assert "QueueUrls" not in live.client("sqs", OTHER).list_queues()
        assert "QueueUrls" in live.client("sqs", ACCOUNT).list_queues(QueueNamePrefix="shared")
        restart(live)


def test_a_log_subscription_reaches_a_stream(live: LiveServer) -> None:
    import gzip

    logs, streams = live.client("logs", ACCOUNT), live.client("kinesis", ACCOUNT)
    streams.create_stream(StreamName="to", ShardCount=1)
    given = {"logGroupName": "/g", "logStreamName": "s"}
    logs.create_log_group(logGroupName="/g")
    logs.create_log_stream(**given)
    arn = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/to"
    role = f"arn:aws:iam::{ACCOUNT}:role/SageMakerExecutionRole"
    logs.put_subscription_filter(
        logGroupName="/g", filterName="f", filterPattern="ERROR", destinationArn=arn, roleArn=role
    )
    now_ms = int(time.time() * 1000)
    lines = [{"timestamp": now_ms, "message": "ERROR one"}, {"timestamp": now_ms, "message": "fine"}]
    logs.put_log_events(**given, logEvents=lines)
    shard = streams.describe_stream(StreamName="to")["StreamDescription"]["Shards"][0]["ShardId"]

    def records() -> Any:
        requested = {"StreamName": "to", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        return streams.get_records(ShardIterator=streams.get_shard_iterator(**requested)["ShardIterator"])["Records"]

    [record] = until(records)
    document = json.loads(gzip.decompress(record["Data"]))
    assert document.pop("logEvents")[0]["message"] == "ERROR one"
    assert document == {
        "messageType": "DATA_MESSAGE", "owner": ACCOUNT, "logGroup": "/g", "logStream": "s", "subscriptionFilters": ["f"]
    }  # fmt: skip
