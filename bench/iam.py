"""What evaluating policies costs: DescribeModel by a user who has AmazonSageMakerFullAccess, the longest policy in wide use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from bench.control_plane import ACCOUNT, ROLE, call, cost
from bench.peers import ours
from bench.report import Table

if TYPE_CHECKING:
    from bench.peers import Peer

POLICY = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
REQUEST = {"ModelName": "stored"}


def by_user(peer: Peer) -> bytes:
    """Make a user with a key and a model; give the user's DescribeModel request."""
    given = {"region_name": "us-east-1", "aws_access_key_id": ACCOUNT, "aws_secret_access_key": "secret"}
    session = boto3.session.Session(**given)
    iam = session.client("iam", endpoint_url=peer.url)
    iam.create_user(UserName="bench")
    iam.attach_user_policy(UserName="bench", PolicyArn=POLICY)
    key: str = iam.create_access_key(UserName="bench")["AccessKey"]["AccessKeyId"]
    session.client("sagemaker", endpoint_url=peer.url).create_model(
        ModelName="stored",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/m:1"},
    )
    return call("DescribeModel", REQUEST).replace(f"Credential={ACCOUNT}/".encode(), f"Credential={key}/".encode())


def run() -> list[Table]:
    """Measure off and enforce by turns, for the owner (whom nobody asks) and for the user."""
    table = Table("DescribeModel, LOCALMAKER_IAM=off (peer) against enforce", "off", "enforce")
    with ours() as off, ours(LOCALMAKER_IAM="enforce") as enforce:
        requests = {peer.url: by_user(peer) for peer in (off, enforce)}
        for who in ("owner", "user"):
            for connections in (1, 32):
                figures = []
                for peer in (off, enforce):
                    request = requests[peer.url] if who == "user" else call("DescribeModel", REQUEST)
                    best = [cost(peer, request, connections) for _ in range(3)]
                    figures.append((max(rate for rate, _ in best), min(cpu_us for _, cpu_us in best)))
                table.row(f"{who}, c={connections}, req/s", figures[0][0], figures[1][0])
                table.row(f"{who}, c={connections}, server CPU µs each", figures[0][1], figures[1][1], less=True)
    return [table]
