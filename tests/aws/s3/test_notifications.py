"""Notifications reach SQS, SNS and EventBridge, which moto answers for; what they say, and that none is lost."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.s3.refusal import refused
from tests.aws.s3.test_versions import switch
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.site import Site

WAIT_S = 20.0


class Queue:
    """An SQS queue and what came out of it."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs, self.url = sqs, sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn: str = attributes["Attributes"]["QueueArn"]
        self.bodies: list[dict[str, Any]] = []

    def take(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many messages have come in all; give them."""
        deadline = time.monotonic() + WAIT_S
        while len(self.bodies) < count:
            assert time.monotonic() < deadline, f"only {self.bodies}"
            for message in self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
                self.bodies.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.02)  # another service: there is nothing to wait on
        return self.bodies


@pytest.fixture
def queue(aws: Callable[..., Any], account: str) -> Queue:
    """Return a queue of the test's account."""
    return Queue(aws("sqs"), f"q-{account}")


def notify(s3: Any, bucket: str, arn: str, *events: str, **more: Any) -> None:
    entry = {"QueueArn": arn, "Events": [*events], **more}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [entry]})


def rules(**named: str) -> dict[str, Any]:
    return {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in named.items()]}}


def test_a_queue_hears_of_objects(s3: Any, bucket: str, queue: Queue) -> None:
    notify(s3, bucket, queue.arn, "s3:ObjectCreated:*", "s3:ObjectRemoved:Delete", Id="mine",
         Filter=rules(prefix="in/", suffix=".csv"))  # fmt: skip
    (test,) = queue.take(1)
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", bucket)
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"][0]["Id"] == "mine"
    etag = s3.put_object(Bucket=bucket, Key="in/a b+ü.csv", Body=b"four")["ETag"].strip('"')
    s3.put_object(Bucket=bucket, Key="in/other.txt", Body=b"x")
    s3.put_object(Bucket=bucket, Key="out/a.csv", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="in/c.csv", CopySource=f"{bucket}/out/a.csv")
    s3.delete_object(Bucket=bucket, Key="in/c.csv")
    records = [message["Records"][0] for message in queue.take(4)[1:]]
    by_event = {record["eventName"]: record for record in records}
    assert set(by_event) == {"ObjectCreated:Put", "ObjectCreated:Copy", "ObjectRemoved:Delete"}
    record = by_event["ObjectCreated:Put"]
    assert (record["eventSource"], record["awsRegion"], record["eventVersion"]) == ("aws:s3", "us-east-1", "2.1")
    assert record["s3"]["configurationId"] == "mine"
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    item = record["s3"]["object"]
    assert (item["key"], item["size"], item["eTag"]) == ("in/a+b%2B%C3%BC.csv", 4, etag)
    removed = by_event["ObjectRemoved:Delete"]["s3"]["object"]
    assert set(removed) == {"key", "sequencer"}
    assert removed["sequencer"] > by_event["ObjectCreated:Copy"]["s3"]["object"]["sequencer"]


def test_versions_and_tags_are_told(s3: Any, bucket: str, queue: Queue) -> None:
    switch(s3, bucket, "Enabled")
    notify(s3, bucket, queue.arn, "s3:ObjectCreated:Put", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": []})
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    told = [message["Records"][0] for message in queue.take(5)[1:]]
    assert sorted((t["eventName"], t["s3"]["object"]["versionId"]) for t in told) == sorted([
        ("ObjectCreated:Put", version), ("ObjectTagging:Put", version), ("ObjectRemoved:DeleteMarkerCreated", marker),
        ("ObjectRemoved:Delete", version),
    ])  # fmt: skip


def test_topics_and_event_buses(aws: Callable[..., Any], s3: Any, bucket: str, queue: Queue) -> None:
    sns, events = aws("sns"), aws("events")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": queue.arn}])
    configuration = {
        "TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:Put"]}],
        "EventBridgeConfiguration": {},
    }
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="k")
    told = queue.take(4)
    through_topic = [json.loads(message["Message"]) for message in told if "TopicArn" in message]
    assert [message.get("Event") for message in through_topic] == ["s3:TestEvent", None]
    assert through_topic[1]["Records"][0]["s3"]["object"]["key"] == "k"
    bus = {message["detail-type"]: message["detail"] for message in told if "detail-type" in message}
    assert set(bus) == {"Object Created", "Object Deleted"}
    assert (bus["Object Created"]["reason"], bus["Object Created"]["object"]["size"]) == ("PutObject", 1)
    assert bus["Object Deleted"]["deletion-type"] == "Permanently Deleted"


def test_wrong_configurations_are_refused(s3: Any, bucket: str, queue: Queue) -> None:
    def put(*entries: dict[str, Any]) -> tuple[str, int]:
        given = {"QueueConfigurations": [*entries]}
        return refused(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration=given)

    events = {"Events": ["s3:ObjectCreated:*"]}
    wrong = {"QueueArn": queue.arn, "Events": ["s3:Replication:*"]}
    assert put({"QueueArn": queue.arn + "-none", **events}) == ("InvalidArgument", 400)
    assert put({"QueueArn": "arn:aws:sns:us-east-1:1:q", **events}) == ("InvalidArgument", 400)
    assert put({"QueueArn": queue.arn.replace("us-east-1", "eu-west-1"), **events}) == ("InvalidArgument", 400)
    assert put(wrong) == ("InvalidArgument", 400)
    assert put({"QueueArn": queue.arn, **events, "Filter": rules(middle="x")})[1] == 400
    twice = {"QueueArn": queue.arn, **events, "Filter": rules(prefix="a")}
    assert put(twice, {**twice, "Filter": rules(prefix="ab")}) == ("InvalidArgument", 400)
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [
        {"QueueArn": queue.arn + "-none", **events}
    ]}, SkipDestinationValidation=True)  # fmt: skip


def test_a_completed_upload_is_told(s3: Any, bucket: str, queue: Queue) -> None:
    notify(s3, bucket, queue.arn, "s3:ObjectCreated:CompleteMultipartUpload")
    upload = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert queue.take(2)[1]["Records"][0]["eventName"] == "ObjectCreated:CompleteMultipartUpload"


def test_what_a_job_writes_is_told_and_versioned(local: Site) -> None:
    queue = Queue(local.client("sqs"), f"j-{local.account}")
    switch(local.s3, local.bucket, "Enabled")
    notify(local.s3, local.bucket, queue.arn, "s3:ObjectCreated:*", Filter=rules(suffix="model.tar.gz"))
    job = local.run("open('/opt/ml/model/m', 'w').write('1')")
    record = queue.take(2)[1]["Records"][0]
    _, _, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)
    assert record["s3"]["object"]["key"] == key
    head = local.s3.head_object(Bucket=local.bucket, Key=key)
    assert record["s3"]["object"]["versionId"] == head["VersionId"]


def test_what_is_acknowledged_is_told_through_a_crash(tmp_path: Path) -> None:
    live = LiveServer(tmp_path / "data")
    live.start()
    try:
        s3, queue = live.client("s3", "111111111111"), Queue(live.client("sqs", "111111111111"), "q")
        s3.create_bucket(Bucket="told")
        notify(s3, "told", queue.arn, "s3:ObjectCreated:*")
        for number in range(10):
            s3.put_object(Bucket="told", Key=f"k{number}", Body=b"x")
        live.kill()
        live.start()
        queue.sqs = live.client("sqs", "111111111111")
        queue.url = queue.sqs.get_queue_url(QueueName="q")["QueueUrl"]
        deadline, keys = time.monotonic() + WAIT_S, set[str]()
        while len(keys) < 10:
            assert time.monotonic() < deadline, keys
            queue.take(len(queue.bodies) + 1)
            keys = {m["Records"][0]["s3"]["object"]["key"] for m in queue.bodies if "Records" in m}
    finally:
        live.stop()


VICTIM = "777777777771"


def entrance(resource: str, action: str, **condition: Any) -> str:
    """Write a policy by which S3 may send."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": action,
        "Resource": resource,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]})


def test_a_queue_of_another_account_hears_nothing_unless_it_lets_s3_in(
    s3: Any, bucket: str, account: str, aws: Callable[..., Any], queue: Queue
) -> None:
    theirs = Queue(aws("sqs", account=VICTIM), f"theirs-{account}")
    own = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}, "StringEquals": {"aws:SourceAccount": account}}
    refusing = [
        entrance(theirs.arn, "sqs:SendMessage", StringEquals={"aws:SourceAccount": "777777777772"}),
        entrance(theirs.arn, "sqs:SendMessage", ArnLike={"aws:SourceArn": "arn:aws:s3:::another"}),
        entrance(theirs.arn, "sqs:ReceiveMessage", **own),
    ]
    for policy in (None, *refusing):
        if policy is not None:
            theirs.sqs.set_queue_attributes(QueueUrl=theirs.url, Attributes={"Policy": policy})
        with pytest.raises(ClientError, match="Unable to validate the following destination configurations") as error:
            notify(s3, bucket, theirs.arn, "s3:ObjectCreated:*")
        assert error.value.response["Error"]["Code"] == "InvalidArgument"
    good = entrance(theirs.arn, "sqs:SendMessage", **own)
    theirs.sqs.set_queue_attributes(QueueUrl=theirs.url, Attributes={"Policy": good})
    notify(s3, bucket, theirs.arn, "s3:ObjectCreated:*")
    s3.put_object(Bucket=bucket, Key="seen", Body=b"1")
    assert theirs.take(2)[1]["Records"][0]["s3"]["object"]["key"] == "seen"
    theirs.sqs.set_queue_attributes(QueueUrl=theirs.url, Attributes={"Policy": refusing[0]})  # and at delivery
    configuration = {"QueueConfigurations": [{"QueueArn": theirs.arn, "Events": ["s3:ObjectCreated:*"],
                                              "Filter": rules(prefix="a")},
                                             {"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"],
                                              "Filter": rules(prefix="b")}]}  # fmt: skip
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration, SkipDestinationValidation=True
    )
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    s3.put_object(Bucket=bucket, Key="b", Body=b"1")
    assert queue.take(1)[0]["Records"][0]["s3"]["object"]["key"] == "b"  # the calls are made in order
    assert "Messages" not in theirs.sqs.receive_message(QueueUrl=theirs.url)


def test_a_topic_of_another_account_hears_nothing_unless_it_lets_s3_in(
    s3: Any, bucket: str, account: str, aws: Callable[..., Any]
) -> None:
    sns = aws("sns", account=VICTIM)
    topic = sns.create_topic(Name=f"theirs-{account}")["TopicArn"]
    wanted = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    call = s3.put_bucket_notification_configuration
    assert refused(call, Bucket=bucket, NotificationConfiguration=wanted) == ("InvalidArgument", 400)
    policy = entrance(topic, "sns:Publish", StringEquals={"aws:SourceAccount": account})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    call(Bucket=bucket, NotificationConfiguration=wanted)


def test_an_alarm_tells_no_topic_of_another_account(aws: Callable[..., Any], account: str) -> None:
    """Its history says so; nobody who listens to the topic hears of it."""
    sns, theirs = aws("sns", account=VICTIM), Queue(aws("sqs", account=VICTIM), f"alarm-{account}")
    topic = sns.create_topic(Name=f"alarm-{account}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=theirs.arn)
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName="a", MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=1,
                                ComparisonOperator="GreaterThanThreshold", Statistic="Sum", AlarmActions=[topic])  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="tried")
    deadline = time.monotonic() + WAIT_S
    items: list[str] = []
    while not items and time.monotonic() < deadline:
        history = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"]
        items = [item["HistorySummary"] + item["HistoryData"] for item in history]
        time.sleep(0.02)  # another service: there is nothing to wait on
    assert "no policy that allows it" in items[0]
    assert "Messages" not in theirs.sqs.receive_message(QueueUrl=theirs.url)


def test_a_subscription_is_of_its_own_account(aws: Callable[..., Any]) -> None:
    logs = aws("logs")
    logs.create_log_group(logGroupName="/g")
    for kind in ("lambda", "kinesis", "firehose"):
        name = {"lambda": "function:f", "kinesis": "stream/s", "firehose": "deliverystream/s"}[kind]
        given = {"logGroupName": "/g", "filterName": "f", "filterPattern": "", "roleArn": f"arn:aws:iam::{VICTIM}:role/r",
                 "destinationArn": f"arn:aws:{kind}:us-east-1:{VICTIM}:{name}"}  # fmt: skip
        with pytest.raises(ClientError, match="InvalidParameterException"):
            logs.put_subscription_filter(**given)
