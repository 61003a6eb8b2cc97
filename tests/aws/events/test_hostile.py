"""What a hostile user writes into patterns, events, policies and targets: AWS's error, in a moment, and nothing of it done."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.events.conftest import Queue, listen

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE = "1" + "0" * 400
PLAIN = dict.fromkeys(("id", "account", "source", "time", "region", "resources", "detail-type"), "")


def refusal(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(refused.value)


def test_details_that_nobody_could_read_are_malformed(bridge: Any, queue: Queue) -> None:
    listen(bridge, queue, {"source": ["shop"], "detail": {"a": [{"exists": True}, {"numeric": [">", 0]}, 1]}})
    good = [f'{{"a": {HUGE}}}', '{"a": "\\ud83d\\ude00"}', f'{{"a": {"[" * 150}1{"]" * 150}}}']
    bad = [
        '{"a": "\\ud800"}', '{"a": NaN}', '{"a": 1e999}', f'{{"a": {"[" * 900}1{"]" * 900}}}', f'{{"a": {"[" * 99999}',
    ]  # fmt: skip
    entries = [{"Source": "shop", "DetailType": "d", "Detail": detail} for detail in (*good, *bad)]
    answers = bridge.put_events(Entries=entries)["Entries"]
    assert [each.get("ErrorCode") for each in answers] == [None] * len(good) + ["MalformedDetail"] * len(bad)
    assert [event["detail"]["a"] for event in queue.events(3)][:2] == [10**400, "😀"]
    event = json.dumps({**PLAIN, "detail": {"a": 10**400}})
    assert bridge.test_event_pattern(EventPattern=f'{{"detail": {{"a": [{HUGE}]}}}}', Event=event)["Result"]
    refused = refusal(bridge.test_event_pattern, EventPattern='{"detail": {"a": [NaN]}}', Event=event)
    assert "InvalidEventPatternException" in refused


def test_an_absent_name_costs_what_the_event_does(bridge: Any) -> None:
    event = json.dumps({**PLAIN, "detail": {"a": [*[{}] * 20_000, {"x": 1}]}})
    begun = time.monotonic()
    pattern = json.dumps({"detail": {"a": {"x": [{"exists": False}]}}})
    assert not bridge.test_event_pattern(EventPattern=pattern, Event=event)["Result"]
    assert time.monotonic() - begun < 10  # it was minutes: for each item of the array the whole was searched


def test_a_template_makes_no_flood_of_an_event(bridge: Any, queue: Queue) -> None:
    transformer = {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": '"' + "<a>" * 2700 + '"'}
    listen(bridge, queue, {"source": ["shop"]}, InputTransformer=transformer)
    for text in ("x" * 50_000, "y"):
        bridge.put_events(Entries=[{"Source": "shop", "DetailType": "d", "Detail": json.dumps({"a": text})}])
    assert queue.take(1) == [json.dumps("y" * 2700)]


def test_a_rule_calls_nothing_that_its_maker_has_no_role_for(bridge: Any, account: str) -> None:
    bridge.put_rule(Name="r", EventPattern='{"source": ["shop"]}')
    made = "arn:aws:scheduler:::aws-sdk:iam:createUser"
    for arn, words in (
        (made, "not in correct format"), ("arn:aws:sqs:us-east-1::q", "not in correct format"),
        *((f"arn:aws:{of}:us-east-1:{account}:{what}", "RoleArn is required for target arn:aws:") for of, what in (
            ("sagemaker", "pipeline/p"), ("states", "stateMachine:m"), ("kinesis", "stream/s"), ("firehose", "deliverystream/d"),
        )),
    ):  # fmt: skip
        assert words in refusal(bridge.put_targets, Rule="r", Targets=[{"Id": "1", "Arn": arn, "Input": "{}"}])
    assert bridge.list_targets_by_rule(Rule="r")["Targets"] == []


@pytest.mark.parametrize("policy", ['{"Statement": [1]}', '{"Statement": ' + "[" * 9999, '{"Statement": [], "a": NaN}'])
def test_a_buss_policy_has_statements(bridge: Any, policy: str) -> None:
    assert "ValidationException" in refusal(bridge.put_permission, Policy=policy)
    assert "Policy" not in bridge.describe_event_bus()


def test_numbers_of_expressions_are_ascii(bridge: Any) -> None:
    assert "ValidationException" in refusal(bridge.put_rule, Name="r", ScheduleExpression="rate(\u0665 minutes)")
