"""Control plane against moto_server: DescribeModel, CreateModel, a page of 100 of 1,000 models, start and memory."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

from bench import load
from bench.peers import moto, ours
from bench.report import Table

if TYPE_CHECKING:
    from bench.peers import Peer

SECONDS = 2.0
SCOPE = "AWS4-HMAC-SHA256 Credential=123456789012/20261123/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"


def call(operation: str, document: dict[str, object]) -> bytes:
    """Write a control-plane request."""
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SCOPE,
    }
    return load.request_bytes("POST", "/", headers, json.dumps(document).encode())


def create(prefix: str, number: int) -> bytes:
    """Write a CreateModel request."""
    container = {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/m:1", "ModelDataUrl": "s3://b/model.tar.gz"}
    document = {"ModelName": f"{prefix}-{number}", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    return call("CreateModel", document)


def fill(peer: Peer, count: int) -> None:
    """Create models until there are `count`."""
    for number in range(count):
        raw = create("stored", number)
        head, _, body = raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        urllib.request.urlopen(urllib.request.Request(peer.url + "/", body, headers), timeout=10).close()


def main() -> None:
    """Measure both in turn, in one run."""
    table = Table("Control plane", "moto", "localmaker")
    with moto() as theirs, ours() as mine:
        table.row("start to first answer, s", theirs.ready_s, mine.ready_s, less_is_better=True)
        table.row("PSS idle, MiB", theirs.pss_mib(), mine.pss_mib(), less_is_better=True)
        for peer in (theirs, mine):
            fill(peer, 1000)
        table.row("PSS with 1,000 models, MiB", theirs.pss_mib(), mine.pss_mib(), less_is_better=True)
        for connections in (1, 32):
            describe = call("DescribeModel", {"ModelName": "stored-500"})
            rates, costs = [], []
            for peer in (theirs, mine):
                before = peer.cpu_s()
                found = load.run(peer.url, lambda _: describe, connections, SECONDS)
                rates.append(found.rate)
                costs.append((peer.cpu_s() - before) / (found.rate * SECONDS) * 1e6)
                assert found.errors == 0
            table.row(f"DescribeModel, c={connections}, req/s", *rates)
            table.row(f"DescribeModel, c={connections}, server CPU µs/req", *costs, less_is_better=True)
        page = call("ListModels", {"MaxResults": 100})
        table.row("ListModels, 100 of 1,000, req/s", *(load.run(p.url, lambda _: page, 1, SECONDS).rate for p in (theirs, mine)))
        for connections in (1, 32):
            rates = []
            for peer in (theirs, mine):
                prefix = f"new-{connections}"
                found = load.run(peer.url, lambda n, prefix=prefix: create(prefix, n), connections, SECONDS)
                assert found.errors == 0
                rates.append(found.rate)
            table.row(f"CreateModel, c={connections}, req/s", *rates)
    table.show()


if __name__ == "__main__":
    main()
