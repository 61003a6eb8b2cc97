"""Buses, rules, targets and what reaches them, as a user's script meets them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.events.conftest import Queue, entry, listen
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_matches_reaches_the_target_and_nothing_else(bridge: Any, queue: Queue, account: str) -> None:
    listen(bridge, queue, {"source": ["shop"], "detail": {"price": [{"numeric": [">", 10]}]}})
    answer = bridge.put_events(Entries=[
        entry(detail={"price": 11, "name": "é"}, Resources=["arn:a"], Time=1_700_000_000), entry(detail={"price": 10}),
        entry("bank", detail={"price": 12}),
    ])  # fmt: skip
    assert answer["FailedEntryCount"] == 0
    (event,) = queue.events(1)
    assert event == {
        "version": "0", "id": answer["Entries"][0]["EventId"], "detail-type": "Order", "source": "shop", "account": account,
        "time": "2023-11-14T22:13:20Z", "region": "us-east-1", "resources": ["arn:a"], "detail": {"price": 11, "name": "é"},
    }  # fmt: skip
    bridge.disable_rule(Name="r")
    bridge.put_events(Entries=[entry(detail={"price": 13})])
    bridge.enable_rule(Name="r")
    bridge.put_events(Entries=[entry(detail={"price": 14})])
    assert [event["detail"]["price"] for event in queue.events(2)] == [11, 14]


def test_entries_that_are_wrong_say_so_and_the_others_go_on(bridge: Any, queue: Queue) -> None:
    listen(bridge, queue, {"source": ["shop"]})
    wrong = [
        {"DetailType": "d", "Detail": "{}"}, {"Source": "shop", "Detail": "{}"}, {"Source": "shop", "DetailType": "d"},
        entry("aws.s3"), {**entry(), "Detail": "["}, {**entry(), "Detail": "[]"}, {**entry(), "Detail": "1"},
    ]  # fmt: skip
    answer = bridge.put_events(Entries=[*wrong, entry(), entry(EventBusName="nowhere")])
    assert answer["FailedEntryCount"] == len(wrong)
    codes = [each.get("ErrorCode") for each in answer["Entries"]]
    malformed = ["MalformedDetail"] * 3
    assert codes == ["InvalidArgument"] * 3 + ["NotAuthorizedForSourceException", *malformed, None, None]
    assert answer["Entries"][1]["ErrorMessage"] == (
        "Parameter DetailType is not valid. Reason: DetailType is a required argument."
    )
    assert len(queue.take(1)) == 1


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ({"Input": '{"fixed": 1}'}, '{"fixed": 1}'),
        ({"InputPath": "$.detail.items[1]"}, '{"n":"b"}'),
        ({"InputPath": "$.detail.none"}, "null"),
        ({"InputTransformer": {"InputPathsMap": {"n": "$.detail.name", "i": "$.detail.items"}, "InputTemplate": (
            '{"in": "<n> of <i>", "out": <n>, "list": <i>, "rule": "<aws.events.rule-name>"}')}},
         '{"in": "a \\"b\\" of [{\\"n\\":\\"a\\"},{\\"n\\":\\"b\\"}]", "out": "a \\"b\\"", "list": [{"n":"a"},{"n":"b"}], "rule": "r"}'),
        ({"InputTransformer": {"InputPathsMap": {"t": "$.detail-type", "x": "$.detail.none"}, "InputTemplate": '"<t> <x>!"'}},
         '"Order !"'),
    ],
)  # fmt: skip
def test_what_a_target_is_sent(bridge: Any, queue: Queue, target: dict[str, Any], sent: str) -> None:
    listen(bridge, queue, {"source": ["shop"]}, **target)
    bridge.put_events(Entries=[entry(detail={"name": 'a "b"', "items": [{"n": "a"}, {"n": "b"}]})])
    assert queue.take(1) == [sent]
    json.loads(sent)


def test_other_targets_are_called(bridge: Any, queue: Queue, aws: Callable[..., Any], account: str) -> None:
    """SNS, a log group, another bus (from which nothing goes on to a third), and Step Functions' neighbours that moto has."""
    sns, logs, kinesis = aws("sns"), aws("logs"), aws("kinesis")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    logs.create_log_group(logGroupName="/events/all")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    for bus in ("second", "third"):
        bridge.create_event_bus(Name=bus)
    arns = {bus: bridge.describe_event_bus(Name=bus)["Arn"] for bus in ("second", "third")}
    bridge.put_rule(Name="r", EventPattern='{"source": ["shop"]}')
    group = f"arn:aws:logs:us-east-1:{account}:log-group:/events/all"
    stream = f"arn:aws:kinesis:us-east-1:{account}:stream/s"
    targets = [topic, group, arns["second"], stream]
    role = f"arn:aws:iam::{account}:role/r"
    bridge.put_targets(Rule="r", Targets=[{"Id": str(n), "Arn": arn, "RoleArn": role} for n, arn in enumerate(targets)])
    for bus, target in (("second", arns["third"]), ("third", queue.arn)):
        bridge.put_rule(Name=bus, EventPattern='{"source": ["shop"]}', EventBusName=bus)
        bridge.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "1", "Arn": target}])
    bridge.put_targets(Rule="second", EventBusName="second", Targets=[{"Id": "2", "Arn": queue.arn}])
    event_id = bridge.put_events(Entries=[entry()])["Entries"][0]["EventId"]
    bodies = queue.events(2)
    through_topic = [json.loads(body["Message"])["id"] for body in bodies if "TopicArn" in body]
    assert [body["id"] for body in bodies if "TopicArn" not in body] == through_topic == [event_id]
    deadline = time.monotonic() + 60
    while not (lines := logs.filter_log_events(logGroupName="/events/all")["events"]) and time.monotonic() < deadline:
        time.sleep(0.05)  # a delivery beside this one
    assert json.loads(lines[0]["message"])["id"] == event_id
    shard = kinesis.describe_stream(StreamName="s")["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    while not (records := kinesis.get_records(ShardIterator=iterator)["Records"]) and time.monotonic() < deadline:
        time.sleep(0.05)  # the same
    assert json.loads(records[0]["Data"])["id"] == event_id


def test_what_cannot_be_called_goes_to_the_dead_letter_queue(bridge: Any, queue: Queue, account: str) -> None:
    arn = f"arn:aws:sqs:us-east-1:{account}:nobody"
    listen(bridge, queue, {"source": ["shop"]}, DeadLetterConfig={"Arn": queue.arn})
    bridge.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, "DeadLetterConfig": {"Arn": queue.arn}}])
    bridge.put_events(Entries=[entry()])
    assert queue.events(1)[0]["source"] == "shop"
    attributes = {name: each["StringValue"] for name, each in queue.messages[0]["MessageAttributes"].items()}
    assert (attributes["TARGET_ARN"], attributes["RULE_ARN"]) == (arn, f"arn:aws:events:us-east-1:{account}:rule/r")
    assert "NonExistentQueue" in attributes["ERROR_CODE"]


def test_buses_rules_targets_and_tags(bridge: Any, queue: Queue, account: str) -> None:
    arn = bridge.create_event_bus(Name="own", Description="d", Tags=[{"Key": "k", "Value": "v"}])["EventBusArn"]
    assert bridge.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    assert [bus["Name"] for bus in bridge.list_event_buses()["EventBuses"]] == ["default", "own"]
    assert bridge.update_event_bus(Name="own", Description="e")["Description"] == "e"
    bridge.put_permission(EventBusName="own", StatementId="s", Action="events:PutEvents", Principal="111122223333")
    policy = json.loads(bridge.describe_event_bus(Name="own")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    bridge.remove_permission(EventBusName="own", StatementId="s")
    assert "Policy" not in bridge.describe_event_bus(Name="own")
    rule = bridge.put_rule(Name="r", EventBusName="own", EventPattern='{"a": [1]}', Tags=[{"Key": "a", "Value": "b"}])[
        "RuleArn"
    ]
    assert rule == f"arn:aws:events:us-east-1:{account}:rule/own/r"
    bridge.untag_resource(ResourceARN=rule, TagKeys=["a"])
    bridge.tag_resource(ResourceARN=rule, Tags=[{"Key": "c", "Value": "d"}])
    assert bridge.list_tags_for_resource(ResourceARN=rule)["Tags"] == [{"Key": "c", "Value": "d"}]
    shown = bridge.describe_rule(Name="r", EventBusName=arn)
    assert (shown["State"], shown["EventBusName"], shown["CreatedBy"]) == ("ENABLED", "own", account)
    bridge.put_targets(Rule="r", EventBusName="own", Targets=[{"Id": str(n), "Arn": queue.arn} for n in range(5)])
    with pytest.raises(ClientError, match="LimitExceededException"):
        bridge.put_targets(Rule="r", EventBusName="own", Targets=[{"Id": "6", "Arn": queue.arn}])
    first = bridge.list_targets_by_rule(Rule="r", EventBusName="own", Limit=3)
    rest = bridge.list_targets_by_rule(Rule="r", EventBusName="own", Limit=3, NextToken=first["NextToken"])
    assert [target["Id"] for page in (first, rest) for target in page["Targets"]] == list("01234")
    assert bridge.list_rule_names_by_target(TargetArn=queue.arn, EventBusName="own")["RuleNames"] == ["r"]
    with pytest.raises(ClientError, match="since it has targets"):
        bridge.delete_rule(Name="r", EventBusName="own")
    with pytest.raises(ClientError, match="since it has rules"):
        bridge.delete_event_bus(Name="own")
    with pytest.raises(ClientError, match="Cannot delete event bus default"):
        bridge.delete_event_bus(Name="default")
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        bridge.create_event_bus(Name="own")
    bridge.remove_targets(Rule="r", EventBusName="own", Ids=list("01234"))
    bridge.delete_rule(Name="r", EventBusName="own")
    bridge.delete_rule(Name="r", EventBusName="own")
    bridge.delete_event_bus(Name="own")
    bridge.delete_event_bus(Name="own")
    for number in range(3):
        bridge.put_rule(Name=f"p{number}", EventPattern='{"a": [1]}')
    pages = bridge.get_paginator("list_rules").paginate(NamePrefix="p", PaginationConfig={"PageSize": 2})
    assert [rule["Name"] for page in pages for rule in page["Rules"]] == ["p0", "p1", "p2"]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, r"Parameter\(s\) EventPattern or ScheduleExpression must be specified"),
        ({"ScheduleExpression": "rate(1 minutes)"}, "Parameter ScheduleExpression is not valid."),
        ({"ScheduleExpression": "cron(0 12 * * * *)"}, "Parameter ScheduleExpression is not valid."),
        ({"ScheduleExpression": "at(2026-01-01T00:00:00)"}, "Parameter ScheduleExpression is not valid."),
        ({"EventPattern": "{"}, "InvalidEventPatternException"),
        ({"EventPattern": '{"a": "b"}'}, 'Reason: "a" must be an object or an array at'),
        ({"EventPattern": '{"a": ["b"]}', "EventBusName": "none"}, "Event bus none does not exist."),
    ],
)
def test_bad_rules_are_refused_and_leave_nothing(bridge: Any, given: dict[str, Any], match: str) -> None:
    with pytest.raises(ClientError, match=match):
        bridge.put_rule(Name="bad", **given)
    assert bridge.list_rules()["Rules"] == []


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ({"Arn": "nonsense"}, "Provided Arn is not in correct format"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q", "Input": "{"}, "Invalid Input"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q", "Input": "1", "InputPath": "$"}, "Only one of Input"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q", "InputPath": "a.b"}, "InputPath"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q.fifo"}, "SqsParameters must be specified"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q", "InputTransformer": {"InputTemplate": '"<x>"'}}, "InputTemplate"),
        ({"Arn": "arn:aws:sqs:us-east-1:{}:q", "InputTransformer": {"InputTemplate": "<"}}, "InputTemplate"),
        ({"Arn": "arn:aws:ecs:us-east-1:{}:cluster/c"}, "NotImplemented"),
        ({"Arn": "arn:aws:sqs:us-east-1:999999999999:q"}, "AccessDenied"),
    ],
)
def test_bad_targets_are_refused(bridge: Any, account: str, target: dict[str, Any], match: str) -> None:
    bridge.put_rule(Name="r", EventPattern='{"a": [1]}')
    with pytest.raises(ClientError, match=match):
        bridge.put_targets(Rule="r", Targets=[{"Id": "1", **target, "Arn": target["Arn"].format(account)}])
    assert bridge.list_targets_by_rule(Rule="r")["Targets"] == []


def test_a_models_life_is_heard(bridge: Any, queue: Queue, aws: Callable[..., Any], account: str) -> None:
    listen(bridge, queue, {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model State Change"]})
    sagemaker = aws("sagemaker")
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn=f"arn:aws:iam::{account}:role/r", PrimaryContainer={"Image": "i"}
    )
    sagemaker.delete_model(ModelName="m")
    made, deleted = sorted(queue.events(2), key=lambda event: len(event["detail"]), reverse=True)
    assert made["resources"] == deleted["resources"] == [f"arn:aws:sagemaker:us-east-1:{account}:model/m"]
    assert made["detail"]["ModelName"] == deleted["detail"]["ModelName"] == "m"
    assert abs(made["detail"]["CreationTime"] / 1000 - time.time()) < 60


def test_a_crash_loses_no_delivery_and_no_schedule(tmp_path: Path) -> None:
    """What was promised to a queue that answers only later, and a rule, are there after kill -9."""
    account, live = "123400001234", LiveServer(tmp_path / "data")
    live.start()
    try:
        bridge = live.client("events", account)
        queue = Queue(live.client("sqs", account), "q")
        listen(bridge, queue, {"source": ["shop"]})
        for number in range(20):
            bridge.put_events(Entries=[entry(detail={"n": number * 10 + each}) for each in range(10)])
        live.kill()
        live.start()
        queue.sqs = live.client("sqs", account)
        queue.url = queue.sqs.get_queue_url(QueueName="q")["QueueUrl"]
        numbers: set[int] = set()
        while numbers != set(range(200)):  # at least once: some may come again
            numbers = {event["detail"]["n"] for event in queue.events(len(queue.messages) + 1)}
        assert live.client("events", account).describe_rule(Name="r")["State"] == "ENABLED"
    finally:
        live.kill()
