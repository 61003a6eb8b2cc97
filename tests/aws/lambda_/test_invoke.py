"""Functions run, as with AWS: boto3's client, on every runner."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.lambda_.functions import function, invoke, zipped

if TYPE_CHECKING:
    from tests.site import Site

ECHO = """
import os, boto3, layered
started = 0
def handle(event, context):
    global started
    started += 1
    print("handling", event)
    if event == "identity":
        return boto3.client("sts").get_caller_identity()["Arn"]
    return {
        "event": event, "count": started, "variable": os.environ.get("WORD"), "layer": layered.WORD, "root": os.environ["LAMBDA_TASK_ROOT"],
        "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb, "left": 0 < context.get_remaining_time_in_millis() <= 5000,
        "pid": os.getpid(),
    }
"""
TROUBLE = """
import os, sys, time
def handle(event, context):
    if event == "raise":
        raise ValueError("no")
    if event == "exit":
        os._exit(3)
    if event == "hang":
        time.sleep(60)
    if event == "flood":
        for _ in range(20000):
            print("x" * 200)
    if event == "large":
        return "x" * (7 << 20)
    if event == "odd":
        return object()
    return "well"
"""


def lines(site: Site, name: str) -> list[str]:
    events = site.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    return [each["message"] for each in events]


def test_a_function_runs_in_what_aws_promises(site: Site) -> None:
    client = site.client("lambda")
    layer = client.publish_layer_version(
        LayerName="words", Content={"ZipFile": zipped(python__layered="WORD = 'deep'")}
    )
    uri = site.upload({"code.zip": zipped(app=ECHO)})
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    name = function(
        site, "", Code={"S3Bucket": bucket, "S3Key": f"{prefix}code.zip"}, Timeout=5, MemorySize=256,
        Environment={"Variables": {"WORD": "bird"}}, Layers=[layer["LayerVersionArn"]],
    )  # fmt: skip
    told, answer = invoke(site, name, {"a": [1]}, LogType="Tail")
    assert "FunctionError" not in answer, told
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    pid, arn = told.pop("pid"), told.pop("arn")
    assert told == {
        "event": {"a": [1]}, "count": 1, "variable": "bird", "layer": "deep", "root": "/var/task", "memory": "256", "left": True,
    }  # fmt: skip
    assert arn.endswith(f":function:{name}")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "handling {'a': [1]}" in tail
    assert "REPORT RequestId: " in tail
    again, _ = invoke(site, name, 2)
    assert (again["count"], again["pid"]) == (2, pid)  # it was kept warm
    identity, _ = invoke(site, name, "identity")
    assert ":assumed-role/SageMakerExecutionRole/" in identity
    deadline = time.monotonic() + 30
    while not any("handling identity" in line for line in lines(site, name)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert any(line.startswith("START RequestId: ") for line in lines(site, name))


def test_a_function_in_trouble_harms_nobody(site: Site) -> None:
    name = function(site, TROUBLE, Timeout=2)
    for event, kind in (
        ("raise", "ValueError"), ("exit", "Runtime.ExitError"), ("hang", "Sandbox.Timedout"), ("large", "Function.ResponseSizeTooLarge"),
        ("odd", "Runtime.MarshalError"),
    ):  # fmt: skip
        told, answer = invoke(site, name, event)
        assert (answer["StatusCode"], answer["FunctionError"], told["errorType"]) == (200, "Unhandled", kind)
        assert invoke(site, name, "well")[0] == "well", event
    site.client("lambda").update_function_configuration(FunctionName=name, Timeout=60)
    assert invoke(site, name, "flood")[0] == "well"


def test_other_versions_run_their_own_code(local: Site) -> None:
    client = local.client("lambda")
    name = function(local, "def handle(event, context): return 'first'")
    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="stable", FunctionVersion=version)
    client.update_function_code(FunctionName=name, ZipFile=zipped(app="def handle(event, context): return 'second'"))
    assert invoke(local, name)[0] == "second"
    assert invoke(local, name, Qualifier="stable")[0] == "first"
    assert invoke(local, f"{name}:{version}")[0] == "first"
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    assert invoke(local, arn)[0] == "second"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("import nothing", "Runtime.ImportModuleError"), ("def other(): pass", "Runtime.HandlerNotFound"), ("raise SystemExit(2)", "Runtime.ExitError")],
)  # fmt: skip
def test_a_function_that_cannot_begin_says_why(local: Site, code: str, kind: str) -> None:
    told, answer = invoke(local, function(local, code))
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", kind)


def test_what_cannot_be_is_refused(local: Site) -> None:
    client = local.client("lambda")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found"):
        invoke(local, "nobody")
    name = function(local, "def handle(event, context): return 1")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName=name, Payload=b"{")
    assert client.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    with pytest.raises(ClientError, match="NoSuchKey"):
        function(local, "", Code={"S3Bucket": local.bucket, "S3Key": "nothing.zip"})
    other = function(local, "", Runtime="nodejs22.x", Handler="index.handler")
    with pytest.raises(ClientError) as refused:
        invoke(local, other)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    bad = function(local, "", Code={"ZipFile": b"no zip"})
    told, answer = invoke(local, bad)
    assert answer["FunctionError"] == "Unhandled", told


def test_reserved_concurrency_throttles(local: Site) -> None:
    from concurrent.futures import ThreadPoolExecutor

    client = local.client("lambda")
    name = function(local, "import time\ndef handle(event, context): time.sleep(1)")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    invoke(local, name)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(invoke, local, name)
        time.sleep(0.3)
        with pytest.raises(client.exceptions.TooManyRequestsException):
            invoke(local, name)
        first.result()


def received(site: Site, queue: str, wanted: int = 1) -> list[Any]:
    messages: list[Any] = []
    deadline = time.monotonic() + 60
    while len(messages) < wanted and time.monotonic() < deadline:
        batch = site.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        messages += [json.loads(each["Body"]) for each in batch.get("Messages", ())]
    return messages


def queue_of(site: Site, name: str) -> tuple[str, str]:
    sqs = site.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


REPORT = """
import boto3, json, os
def handle(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    if event == "bad":
        raise ValueError("no")
    return "done"
"""


def test_later_means_tried_again_and_then_told(local: Site) -> None:
    client = local.client("lambda")
    (url, _), (told_url, told_arn), (dead_url, dead_arn) = (
        queue_of(local, each) for each in ("events", "told", "dead")
    )
    name = function(local, REPORT, Environment={"Variables": {"QUEUE": url}}, DeadLetterConfig={"TargetArn": dead_arn})
    client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": told_arn}, "OnSuccess": {"Destination": told_arn}},
    )  # fmt: skip
    assert client.invoke(FunctionName=name, InvocationType="Event", Payload=b'"good"')["StatusCode"] == 202
    (good,) = received(local, told_url)
    assert (good["requestContext"]["condition"], good["requestPayload"], good["responsePayload"]) == (
        "Success",
        "good",
        "done",
    )
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b'"bad"')
    (bad,) = received(local, told_url)
    assert (bad["requestContext"]["condition"], bad["requestContext"]["approximateInvokeCount"]) == (
        "RetriesExhausted",
        2,
    )
    assert bad["responsePayload"]["errorType"] == "ValueError"
    assert received(local, dead_url) == ["bad"]
    assert received(local, url, 3) == ["good", "bad", "bad"]


def test_other_services_invoke_functions(local: Site) -> None:
    """A topic, a queue and a bucket, whose records moto keeps or this server."""
    client, sns, sqs, s3 = (local.client(each) for each in ("lambda", "sns", "sqs", "s3"))
    url, _ = queue_of(local, "events")
    name = function(local, REPORT, Environment={"Variables": {"QUEUE": url}})
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    topic = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="from a topic")
    (event,) = received(local, url)
    assert event["Records"][0]["Sns"]["Message"] == "from a topic"
    source_url, source_arn = queue_of(local, "source")
    client.create_event_source_mapping(EventSourceArn=source_arn, FunctionName=name)
    sqs.send_message(QueueUrl=source_url, MessageBody="from a queue")
    (event,) = received(local, url)
    assert event["Records"][0]["body"] == "from a queue"
    s3.put_bucket_notification_configuration(
        Bucket=local.bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    s3.put_object(Bucket=local.bucket, Key="new", Body=b"")
    (event,) = received(local, url)
    assert event["Records"][0]["s3"]["object"]["key"] == "new"
