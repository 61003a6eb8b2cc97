"""What the tests of EventBridge share: a queue that hears, and rules that call it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_S = 60.0


class Queue:
    """An SQS queue and the bodies of what came out of it."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs, self.url = sqs, sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        self.arn: str = attributes["Attributes"]["QueueArn"]
        self.messages: list[dict[str, Any]] = []

    def take(self, count: int) -> list[str]:
        """Wait until so many messages have come in all; return their bodies."""
        deadline = time.monotonic() + WAIT_S
        while len(self.messages) < count:
            assert time.monotonic() < deadline, f"only {self.messages}"
            received = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            for message in received:
                self.messages.append(message)
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.02)  # another service: there is nothing to wait on
        return [message["Body"] for message in self.messages]

    def events(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many messages have come in all; return the events that they are."""
        return [json.loads(body) for body in self.take(count)]


@pytest.fixture
def queue(aws: Callable[..., Any], account: str) -> Queue:
    """Return a queue of the test's account."""
    return Queue(aws("sqs"), f"q-{account}")


@pytest.fixture
def bridge(aws: Callable[..., Any]) -> Any:
    """Return a client of EventBridge."""
    return aws("events")


@pytest.fixture
def scheduler(aws: Callable[..., Any]) -> Any:
    """Return a client of EventBridge Scheduler."""
    return aws("scheduler")


def listen(bridge: Any, queue: Queue, pattern: dict[str, Any], name: str = "r", **target: Any) -> str:
    """Make a rule that sends a queue what matches; return its ARN."""
    arn: str = bridge.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    bridge.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue.arn, **target}])
    return arn


def entry(source: str = "shop", kind: str = "Order", detail: Any = None, **more: Any) -> dict[str, Any]:
    """Return an entry of PutEvents."""
    return {"Source": source, "DetailType": kind, "Detail": json.dumps(detail or {}), **more}
