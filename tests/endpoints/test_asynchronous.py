"""InvokeEndpointAsync: accepted now, answered in S3, through crashes too (contract: inference.md §6)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import LiveServer
from tests.endpoints.served import Served, variant
from tests.site import Site

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 60.0


def deployed(served: Served, **client: Any) -> Served:
    """Deploy a model behind an asynchronous endpoint."""
    base = f"s3://{served.site.bucket}"
    output = {"S3OutputPath": f"{base}/answers", "S3FailurePath": f"{base}/failures"}
    config = {"OutputConfig": output, **({"ClientConfig": client} if client else {})}
    one = variant(served.model(served.container("async")))
    served.deploy(served.config(one, AsyncInferenceConfig=config))
    return served


def send(served: Served, **members: Any) -> dict[str, Any]:
    """Invoke; give where the answer or the failure will be."""
    request = {"ContentType": "text/plain", "Accept": "text/plain", **members}
    answer: dict[str, Any] = served.site.runtime.invoke_endpoint_async(EndpointName=served.name, **request)
    return answer


def arrived(site: Site, uri: str) -> str:
    """Wait for an object; give its text."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            return site.read(uri).decode()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"  # noqa: PT017 - not there yet
        time.sleep(0.05)
    raise AssertionError(f"{uri} never came")


def test_answers_and_failures_are_objects(served: Served) -> None:
    deployed(served)
    site = served.site
    folder = site.upload({"question": "from s3", "bad": "raise"})
    answer = send(served, InputLocation=f"{folder}question")
    assert answer["OutputLocation"] == f"s3://{site.bucket}/answers/{answer['InferenceId']}.out"
    assert arrived(site, answer["OutputLocation"]) == "from s3|async|async"
    bad = send(served, InputLocation=f"{folder}bad", InferenceId="mine")
    assert bad["InferenceId"] == "mine"
    assert "this model raises" in arrived(site, bad["FailureLocation"])
    inline = send(served, Body=b"inline")
    assert arrived(site, inline["OutputLocation"]) == "inline|async|async"
    chunked = send(served, Body=b"stream", InferenceId="chunked")
    text = "The response from container primary did not specify the required Content-Length header"
    assert arrived(site, chunked["FailureLocation"]) == text
    (line,) = [line for line in served.lines("AllTraffic/") if "[chunked]" in line]
    assert line.endswith(f":[sagemaker logs] [chunked] {text}")
    assert not [key for key in site.keys(f"s3://{site.bucket}/answers/") if key.endswith(".input")]


def test_what_is_refused(served_here: Served) -> None:
    served = deployed(served_here)
    uri = f"s3://{served.site.bucket}/nothing"
    for members in ({"InputLocation": uri}, {}, {"Body": b"x" * 128_001}, {"Body": b"x", "InputLocation": uri}):
        with pytest.raises(ClientError) as caught:
            send(served, **members)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(ClientError, match="can only be invoked asynchronously"):
        served.invoke("x")


@pytest.mark.same_on_docker
def test_an_endpoint_that_is_not_asynchronous(shared: Served) -> None:
    with pytest.raises(ClientError, match="not configured for asynchronous inference"):
        send(shared, Body=b"x")


def test_a_request_expires_by_the_accounts_clock(served_here: Served) -> None:
    served = deployed(served_here, MaxConcurrentInvocationsPerInstance=1)
    send(served, Body=b"sleep 2")
    late = send(served, Body=b"late", RequestTTLSeconds=60)
    served.site.move_clock(100)
    assert "expired" in arrived(served.site, late["FailureLocation"])


def test_what_was_accepted_survives_a_crash(tmp_path: Path, account: str, runner: str) -> None:
    live = LiveServer(tmp_path / "data", {"runner": runner})
    live.start()
    served = Served(Site(live, account, runner))
    try:
        deployed(served, MaxConcurrentInvocationsPerInstance=1)
        accepted = [send(served, Body=b"sleep 0.3") for _ in range(6)]
        live.kill()
        live.start()
        for entry in accepted:
            assert arrived(served.site, entry["OutputLocation"]) == "sleep 0.3|async|async"
        served.delete()
    finally:
        served.site.close()
        live.end_jobs()
        live.stop()


def test_an_answer_that_the_role_may_not_write_is_a_failure_that_a_topic_hears(served_here: Served) -> None:
    served = served_here
    site, closed = served.site, f"closed-{served.name}"
    s3, sns, sqs = site.client("s3"), site.client("sns"), site.client("sqs")
    s3.create_bucket(Bucket=closed)
    topics = {
        name: sns.create_topic(Name=f"{name}-{served.name}")["TopicArn"] for name in ("SuccessTopic", "ErrorTopic")
    }
    queue = sqs.create_queue(QueueName=served.name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for topic in topics.values():
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    output = {"S3OutputPath": f"s3://{closed}/answers", "S3FailurePath": f"s3://{site.bucket}/failures",
              "NotificationConfig": topics}  # fmt: skip
    one = variant(served.model(served.container("async")))
    served.deploy(served.config(one, AsyncInferenceConfig={"OutputConfig": output}))
    uri = f"{site.upload({'question': 'q'})}question"
    good = send(served, InputLocation=uri, InferenceId="good")
    assert arrived(site, good["OutputLocation"]) == "q|async|async"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{closed}/*"}
    s3.put_bucket_policy(Bucket=closed, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    bad = send(served, InputLocation=uri, InferenceId="bad")
    assert "could not be uploaded" in arrived(site, bad["FailureLocation"])
    assert any("[bad] The response could not be uploaded" in line for line in served.lines("AllTraffic/"))
    told = [json.loads(body) for body in received(sqs, queue, 4)]
    assert [entry["eventName"] for entry in told[:2]] == ["TestNotification"] * 2
    ends = {entry["inferenceId"]: entry for entry in told[2:]}
    assert ends["good"]["invocationStatus"] == "Completed"
    assert ends["good"]["responseParameters"]["outputLocation"] == good["OutputLocation"]
    assert (ends["bad"]["invocationStatus"], ends["bad"]["requestParameters"]["inputLocation"]) == ("Failed", uri)
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ResponseUploadFailures"}
    dimensions = site.client("cloudwatch").list_metrics(**metric)["Metrics"][0]["Dimensions"]
    assert {entry["Value"] for entry in dimensions} == {served.name, "AllTraffic"}
    with pytest.raises(ClientError, match="closed to the role"):
        served.config(one, AsyncInferenceConfig={"OutputConfig": output})


def received(sqs: Any, queue: str, count: int) -> list[str]:
    """Wait for messages; return their bodies."""
    messages: list[str] = []
    deadline = time.monotonic() + WAIT_S
    while len(messages) < count and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            messages.append(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return messages
