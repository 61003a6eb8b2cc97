"""Control plane against moto_server: DescribeModel, CreateModel, pages of ListModels, one boto3 client, durability."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from bench import load
from bench.peers import in_turn, moto, nothing, ours
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.peers import Peer

SECONDS = 1.0
ACCOUNT = "123456789012"
SCOPE = (
    f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261123/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerExecutionRole"
MANY = 100_000


def call(operation: str, document: Mapping[str, object]) -> bytes:
    """Write a control-plane request."""
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SCOPE,
    }
    return load.request_bytes("POST", "/", headers, json.dumps(document).encode())


def create(prefix: str, number: int) -> bytes:
    """Write a CreateModel request."""
    container = {"Image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/m:1", "ModelDataUrl": "s3://b/model.tar.gz"}
    document = {"ModelName": f"{prefix}-{number}", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    return call("CreateModel", document)


def fill(peer: Peer, prefix: str, count: int) -> None:
    """Create so many models."""
    measured = load.run(peer.url, lambda n: create(prefix, n), 16, seconds=300, count=count)
    assert measured.errors == 0, (peer.name, measured)
    assert measured.count == count, (peer.name, measured)


def cost(peer: Peer, request: bytes, connections: int) -> tuple[float, float]:
    """Return requests per second, and the server's CPU µs for one."""
    before = peer.cpu_s()
    measured = load.run(peer.url, lambda _: request, connections, SECONDS)
    assert measured.errors == 0, (peer.name, measured)
    return measured.rate, (peer.cpu_s() - before) / measured.count * 1e6


def describe(table: Table, peers: tuple[Peer, ...]) -> None:
    """Measure DescribeModel over 1 and 32 connections."""
    request = call("DescribeModel", {"ModelName": "stored-500"})
    for connections, goal in ((1, 8), (32, 20)):
        costs: dict[str, list[float]] = {peer.name: [] for peer in peers}

        def rate(peer: Peer, connections: int = connections, costs: dict[str, list[float]] = costs) -> float:
            per_second, cpu_us = cost(peer, request, connections)
            costs[peer.name].append(cpu_us)
            return per_second

        table.row(f"DescribeModel, c={connections}, req/s", *in_turn(peers, rate), at_least=goal)
        best = [min(costs[peer.name]) for peer in peers]
        table.row(f"DescribeModel, c={connections}, server CPU µs each", *best, less=True, at_most=150)


def creates(table: Table, peers: tuple[Peer, ...], rounds: int = 3, goals: tuple[float | None, ...] = (5, 10)) -> None:
    """Measure CreateModel over 1 and 32 connections."""
    for connections, goal in zip((1, 32), goals, strict=True):
        turn = iter(range(1000))

        def rate(peer: Peer, connections: int = connections, turn: Any = turn) -> float:
            prefix = f"new-{connections}-{next(turn)}"
            measured = load.run(peer.url, lambda n: create(prefix, n), connections, SECONDS)
            assert measured.errors == 0, (peer.name, measured)
            return measured.rate

        table.row(f"CreateModel, c={connections}, req/s", *in_turn(peers, rate, rounds), at_least=goal)


def page_rate(peer: Peer) -> float:
    """Return pages of ListModels per second."""
    page = call("ListModels", {"MaxResults": 100})
    return load.run(peer.url, lambda _: page, 1, SECONDS).rate


def client_rate(peer: Peer) -> float:
    """Return DescribeModel calls per second of one boto3 client."""
    client = boto3.client(
        "sagemaker", endpoint_url=peer.url, region_name="us-east-1", aws_access_key_id=ACCOUNT,
        aws_secret_access_key="secret", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    client.describe_model(ModelName="stored-500")
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        client.describe_model(ModelName="stored-500")
        count += 1
    return count / (time.perf_counter() - began)


def clients(peers: tuple[Peer, ...]) -> Table:
    """Measure one boto3 client against a server that does nothing."""
    table = Table("One boto3 client, DescribeModel", "peer")
    answer = json.dumps({"ModelName": "stored-500", "ModelArn": "arn", "CreationTime": 1.0, "ExecutionRoleArn": ROLE})
    with nothing(answer) as empty:
        theirs, our_rates, most = in_turn((*peers, empty), client_rate, rounds=6)
    table.row("calls/s, against moto", theirs, our_rates)
    table.row("calls/s, against a server that does nothing", most, our_rates, at_least=0.7)
    return table


def durability() -> Table:
    """Measure what surviving a power cut costs."""
    table = Table("Durability: power (peer) against process", "power")
    with ours(LOCALMAKER_DURABILITY="power") as power, ours() as process:
        creates(table, (power, process), goals=(None, None))
    return table


def run() -> list[Table]:
    """Measure all in turn, in one run."""
    table = Table("Control plane", "moto")
    with moto() as theirs, ours() as localmaker:
        peers = (theirs, localmaker)
        for peer in peers:
            fill(peer, "stored", 1000)
        table.row("PSS with 1,000 models, MiB", theirs.pss_mib(), localmaker.pss_mib(), less=True, at_most=100)
        describe(table, peers)
        few = in_turn(peers, page_rate)
        table.row("ListModels, 100 of 1,000 (moto: all at once), req/s", *few, at_least=50)
        by_client = clients(peers)
        creates(table, peers)
    with ours() as small, ours() as large:
        fill(small, "stored", 1000)
        fill(large, "stored", MANY)
        rates = in_turn((large, small), page_rate)
        table.row(
            "ListModels, time of a page with 100,000 stored over that with 1,000",
            None,
            rates[1] / rates[0],
            at_most=1.3,
        )
    return [table, by_client, durability()]
