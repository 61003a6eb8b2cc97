"""EventBridge: entries of PutEvents per second, that no rule matches and that one does, beside moto's."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from bench import load
from bench.control_plane import ACCOUNT, SCOPE
from bench.peers import in_turn, moto, ours
from bench.report import Table

if TYPE_CHECKING:
    from bench.peers import Peer

SECONDS = 1.5
ENTRIES, RULES = 10, 20
GOAL = 5_000
MATCHED = 1_000
"""Entries that are delivered to a queue, all of them."""


def request(price: int) -> bytes:
    """Write a PutEvents of as many entries as one may have."""
    detail = json.dumps({"price": price, "name": "a name", "items": [{"id": number} for number in range(5)]})
    entry = {"Source": "shop", "DetailType": "Order", "Detail": detail}
    headers = {
        "X-Amz-Target": "AWSEvents.PutEvents",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SCOPE.replace("/sagemaker/", "/events/"),
    }
    return load.request_bytes("POST", "/", headers, json.dumps({"Entries": [entry] * ENTRIES}).encode())


def client(peer: Peer, service: str) -> Any:
    """Make a client of a peer."""
    return boto3.client(
        service, endpoint_url=peer.url, region_name="us-east-1", aws_access_key_id=ACCOUNT,
        aws_secret_access_key="secret", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def prepare(peer: Peer) -> None:
    """Make rules that look into the detail, of which the last one matches a price of 1, and its queue."""
    events, url = client(peer, "events"), client(peer, "sqs").create_queue(QueueName="q")["QueueUrl"]
    for number in range(RULES):
        pattern = {"source": ["shop"], "detail": {"price": [RULES - number], "name": [{"prefix": "a"}]}}
        events.put_rule(Name=f"r{number}", EventPattern=json.dumps(pattern))
        target = {"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{url.rpartition('/')[2]}"}
        events.put_targets(Rule=f"r{number}", Targets=[target])


def rate(peer: Peer, price: int, count: int = 1 << 60) -> float:
    """Return entries that a peer takes per second."""
    body = request(price)
    measured = load.run(peer.url, lambda _: body, 4, SECONDS, count)
    assert measured.errors == 0, (peer.name, measured)
    return measured.rate * ENTRIES


def delivered(peer: Peer) -> float:
    """Return entries per second from the first PutEvents until the last is in the queue."""
    sqs = client(peer, "sqs")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    began, body = time.perf_counter(), request(1)
    load.run(peer.url, lambda _: body, 4, 60, MATCHED // ENTRIES)
    while _stored(sqs, url) < MATCHED:
        assert time.perf_counter() - began < 120
        time.sleep(0.05)
    return MATCHED / (time.perf_counter() - began)


def delivered_to_logs(peer: Peer) -> float:
    """Return entries per second from the first PutEvents until the last is in a log group, which is LocalMaker's own."""
    events, logs = client(peer, "events"), client(peer, "logs")
    logs.create_log_group(logGroupName="g")
    events.put_rule(Name="logs", EventPattern=json.dumps({"detail": {"price": [1000]}}))
    target = {"Id": "1", "Arn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:g"}
    events.put_targets(Rule="logs", Targets=[target])
    began, body = time.perf_counter(), request(1000)
    load.run(peer.url, lambda _: body, 4, 60, MATCHED // ENTRIES)
    while len(logs.filter_log_events(logGroupName="g")["events"]) < MATCHED:
        assert time.perf_counter() - began < 120
        time.sleep(0.05)
    return MATCHED / (time.perf_counter() - began)


def _stored(sqs: Any, url: str) -> int:
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(shown["Attributes"]["ApproximateNumberOfMessages"])


def run() -> list[Table]:
    """Measure both peers by turns, then what is delivered."""
    table = Table(f"PutEvents of {ENTRIES} entries, {RULES} rules, 4 connections", "moto")
    with moto() as other, ours() as own:
        for peer in (other, own):
            prepare(peer)
        to_logs = delivered_to_logs(own)
        unmatched = in_turn((other, own), lambda peer: rate(peer, 999))
        table.row("entries that no rule matches, a second", *unmatched)
        table.row("entries until they are in moto's queue, a second", delivered(other), delivered(own))
        table.row("entries until they are in a log group, a second", None, to_logs)
    goal = Table("PutEvents against the goal", "goal")
    goal.row("entries that no rule matches, a second", GOAL, unmatched[1], at_least=1)
    return [table, goal]
