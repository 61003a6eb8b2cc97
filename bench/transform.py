"""Batch transform of CSV lines against the same container driven by a bare client at the same concurrency; filters and joins against none."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import mlp
from bench.invoke import client, deploy
from bench.peers import Peer, ours
from bench.report import Table

LINES = 200_000
AT_ONCE = 4
PAYLOAD_MB = 6
GOAL, GOAL_FILTERED = 0.9, 0.85
"""Times the bare client's rate; with join and filter at most 15 % less than without."""


def lines() -> bytes:
    """Return [LINES, 20] of CSV."""
    row = ",".join(f"{value:.4f}" for value in mlp.row())
    return f"{row}\n".encode() * LINES


def bare(container: Peer, data: bytes) -> float:
    """Return lines per second of a client that splits and sends what the job would, and joins what comes."""
    host, _, port = container.url.removeprefix("http://").partition(":")
    limit, bodies, begin = PAYLOAD_MB << 20, list[bytes](), 0
    began = time.perf_counter()
    while begin < len(data):
        end = data.rfind(b"\n", begin, begin + limit) + 1
        bodies.append(data[begin:end])
        begin = end

    def send(body: bytes) -> bytes:
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("POST", "/invocations", body, {"Content-Type": "text/csv", "Accept": "text/csv"})
        answer = connection.getresponse()
        assert answer.status == http.client.OK
        return answer.read()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = b"".join(pool.map(send, bodies))
    assert answers.count(b"\n") >= LINES - len(bodies)
    return LINES / (time.perf_counter() - began)


def job(peer: Peer, name: str, **processing: str) -> float:
    """Return lines per second of a transform job, from the moment its first object of one line is done to the end of its second.

    By then its container is healthy and has answered once, as the bare client's has.
    """
    sagemaker = client(peer, "sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bench/rows/"}}
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": "mlp",
        "MaxConcurrentTransforms": AT_ONCE,
        "MaxPayloadInMB": PAYLOAD_MB,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://bench/out/{name}", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    sagemaker.create_transform_job(**request, **({"DataProcessing": processing} if processing else {}))
    began = _first_is_done(client(peer, "s3"), f"out/{name}/0.csv.out")
    waiter = sagemaker.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300})
    ended: float = sagemaker.describe_transform_job(TransformJobName=name)["TransformEndTime"].timestamp()
    return LINES / (ended - began)


def _first_is_done(s3: Any, key: str) -> float:
    """Wait until an object is there; return when (epoch seconds)."""
    while True:
        try:
            s3.head_object(Bucket="bench", Key=key)
        except s3.exceptions.ClientError:
            time.sleep(0.002)
        else:
            return time.time()


def run() -> list[Table]:
    """Measure all in turn, in one run."""
    table = Table(f"transform of {LINES:,} CSV lines, {AT_ONCE} at a time (lines/s)", "bare client")
    data = lines()
    with ours(LOCALMAKER_RUNNER="process") as peer:
        container = deploy(peer)
        for name, body in {"0.csv": data[: data.index(b"\n") + 1], "rows.csv": data}.items():
            client(peer, "s3").put_object(Bucket="bench", Key=f"rows/{name}", Body=body)
        filters = {"InputFilter": "$[0:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
        rounds = [
            (bare(container, data), job(peer, f"plain-{n}"), job(peer, f"joined-{n}", **filters)) for n in range(3)
        ]
        direct, plain, joined = map(max, zip(*rounds, strict=True))
        table.row("as it is", direct, plain, at_least=GOAL)
        filtered = Table("join and filter against none (lines/s)", "transform as it is", "with join and filter")
        filtered.row("InputFilter, JoinSource, OutputFilter", plain, joined, at_least=GOAL_FILTERED)
    return [table, filtered]
