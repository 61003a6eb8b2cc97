"""What waiting jobs cost: 2,000 queued behind two that run. And what Search and facets cost, in the kernel itself."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backends
from backends.core.kernel import Kernel
from backends.core.search import operations
from backends.core.search.facets import Indexed
from backends.core.settings import Settings
from bench.control_plane import creates
from bench.invoke import client
from bench.jobs import SCIKIT_LEARN, channel, prepare
from bench.peers import OURS, ours
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.resource import Resource

WAITING, PLACES = 2000, 2
SETTLE_S, IDLE_S = 10.0, 10.0
RESOURCES, ROUNDS = 100_000, 5
ACCOUNT, REGION = "111122223333", "us-east-1"
WITHOUT_FACETS = f"""
from backends.core.resource import Resource
from backends.core.search.facets import Indexed
Resource.facets = Indexed()
{OURS}
"""


def queued() -> Table:
    """Measure a server with jobs that wait for places."""
    table = Table(f"{WAITING:,} training jobs that wait, {PLACES} that run", "limit")
    with ours(LOCALMAKER_MAX_JOBS=str(PLACES)) as peer:
        prepare(peer)
        sagemaker = client(peer, "sagemaker")
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        began = time.perf_counter()
        for number in range(WAITING + PLACES):
            sagemaker.create_training_job(
                TrainingJobName=f"waits-{number}",
                RoleArn=role,
                AlgorithmSpecification={
                    "TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File", "ContainerEntrypoint": ["/bin/sleep", "600"],
                },
                InputDataConfig=[channel("code")],
                OutputDataConfig={"S3OutputPath": "s3://bench/out"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                StoppingCondition={"MaxRuntimeInSeconds": 600},
            )  # fmt: skip
        created_s = time.perf_counter() - began
        while (
            sagemaker.list_training_jobs(NameContains=f"waits-{WAITING}")["TrainingJobSummaries"][0][
                "TrainingJobStatus"
            ]
            != "InProgress"
        ):
            time.sleep(0.1)
        time.sleep(SETTLE_S)
        server, before = peer.process, sum(peer.process.cpu_times()[:2])
        time.sleep(IDLE_S)
        used = (sum(server.cpu_times()[:2]) - before) / IDLE_S * 100
        table.row("threads of the server", None, server.num_threads(), at_most=60)
        table.row("of one core while nothing happens, %", None, used, at_most=5)
        table.row("CreateTrainingJob one after another, ms each", None, created_s / (WAITING + PLACES) * 1000)
        began = time.perf_counter()
        server.terminate()
        server.wait(60)
        table.row("stop, s", None, time.perf_counter() - began, at_most=10)
    return table


def _document(number: int) -> dict[str, Any]:
    source = {"S3Uri": "s3://bucket/key", "S3DataType": "S3Prefix"}
    return {
        "TrainingJobName": f"job-{number}",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/role",
        "AlgorithmSpecification": {
            "TrainingImage": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/a:1",
            "TrainingInputMode": "File",
        },
        "HyperParameters": {"depth": str(number % 10), "number": str(number)},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    }


def _insert(cx: Context, job: Resource, prefix: str, count: int) -> float:
    """Store so many jobs, 100 in a transaction; µs each."""

    def work(inside: Context, first: int) -> None:
        for number in range(first, first + 100):
            job.insert(inside, f"{prefix}-{number}", _document(number), status="InProgress")

    began = time.perf_counter()
    for first in range(0, count, 100):
        cx.write(lambda inside, first=first: work(inside, first))  # type: ignore[misc]
    return (time.perf_counter() - began) / count * 1e6


def _median_ms(measured: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        measured()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def searched() -> Table:
    """Measure Search over many resources, and what facets add to a write."""
    table = Table(f"Search over {RESOURCES:,} training jobs, median ms", "limit")
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Settings.read({}, data_dir=Path(folder)), backends.load_components())
        kernel.open()
        cx, job = kernel.context(ACCOUNT, REGION), kernel.resources["TrainingJob"]
        with_facets, without = [], []
        facets = job.facets
        for turn in range(3):
            with_facets.append(_insert(cx, job, f"with-{turn}", 2000))
            job.__dict__["facets"] = Indexed()
            without.append(_insert(cx, job, f"without-{turn}", 2000))
            job.__dict__["facets"] = facets
        _insert(cx, job, "job", RESOURCES)
        for what, name, operator, value in (
            ("one of them, by a hyperparameter", "HyperParameters.number", "Equals", "777"),
            ("a tenth of them, by a hyperparameter", "HyperParameters.depth", "Equals", "7"),
            ("all of them, by the input mode", "AlgorithmSpecification.TrainingInputMode", "Equals", "File"),
            ("ten, by a number", "HyperParameters.number", "GreaterThan", str(RESOURCES - 11)),
        ):
            expression = {"Filters": [{"Name": name, "Operator": operator, "Value": value}]}
            request = {"Resource": "TrainingJob", "SearchExpression": expression}
            took = _median_ms(lambda request=request: cx.look(lambda inside: operations.search(inside, request)))  # type: ignore[misc]
            table.row(what, None, took, at_most=50)
        table.row("a row stored, µs, without facets and with", min(without), min(with_facets), less=True)
        kernel.db.close()
        kernel.lease.release()
    return table


def faceted() -> Table:
    """Measure what facets cost CreateModel, against a server that writes none."""
    table = Table("CreateModel, req/s, against a server that writes no facets", "without facets")
    with ours(code=WITHOUT_FACETS) as without, ours() as with_facets:
        creates(table, (without, with_facets), goals=(1 / 1.3, 1 / 1.3))
    return table


def run() -> list[Table]:
    """Measure all three."""
    return [queued(), searched(), faceted()]
