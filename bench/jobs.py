"""Create-to-Completed of training jobs: a trivial script on each runner, and XGBoost, against the bare processes."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.core.settings import default_cache_dir
from backends.jobs.images import RECIPES
from backends.jobs.recipes import virtual_environment
from bench.invoke import client
from bench.peers import ours
from bench.report import Table
from tests.engine import base_image, docker_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.peers import Peer

ROUNDS = 7
ROWS, COLUMNS = 1000, 20
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SCIKIT_LEARN, XGBOOST = f"{REGISTRY}/sagemaker-scikit-learn:1.4-2", f"{REGISTRY}/sagemaker-xgboost:3.0-5"
TRIVIAL = 'open("/opt/ml/model/model.txt", "w").write(open("/opt/ml/input/data/code/job.py").read())'
BARE_XGBOOST = """
import sys, numpy as np, xgboost
data = np.loadtxt(sys.argv[1], delimiter=",")
model = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(data[:, 1:], data[:, 0]), 20)
model.save_model(sys.argv[2])
"""


def table_bytes() -> bytes:
    """Return [1000, 21] of CSV, label first."""
    import numpy as np

    values = np.random.default_rng(0).random((ROWS, COLUMNS))
    labels = (values.sum(axis=1) > COLUMNS / 2).astype(int)
    return "\n".join(f"{y},{','.join(f'{v:.4f}' for v in row)}" for y, row in zip(labels, values, strict=True)).encode()


def prepare(peer: Peer) -> None:
    """Upload what the jobs read."""
    s3 = client(peer, "s3")
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="code/job.py", Body=TRIVIAL.encode())
    s3.put_object(Bucket="bench", Key="train/train.csv", Body=table_bytes())


def channel(name: str, content_type: str = "text/csv") -> dict[str, Any]:
    """Return an input channel of the bucket's folder of this name."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://bench/{name}/"}
    return {"ChannelName": name, "ContentType": content_type, "DataSource": {"S3DataSource": source}}


def job_s(peer: Peer, image: str, name: str, **members: Any) -> float:
    """Run a training job as boto3's users do, create and wait; seconds until its artifact is there."""
    sagemaker = client(peer, "sagemaker")
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File", **members.pop("algorithm", {})}
    job = f"bench-{uuid.uuid4().hex[:10]}"
    began = time.perf_counter()
    sagemaker.create_training_job(
        TrainingJobName=job, AlgorithmSpecification=algorithm, RoleArn=members.pop("role"),
        InputDataConfig=[channel(name)], OutputDataConfig={"S3OutputPath": "s3://bench/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600}, **members,
    )  # fmt: skip
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
    took = time.perf_counter() - began
    done = sagemaker.describe_training_job(TrainingJobName=job)
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    place = done["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://bench/")
    assert client(peer, "s3").head_object(Bucket="bench", Key=place)["ContentLength"] > 0
    return took


def trivial(peer: Peer, role: str) -> float:
    """Run a job that copies a file."""
    entry = ["python", "/opt/ml/input/data/code/job.py"]
    return job_s(peer, SCIKIT_LEARN, "code", role=role, algorithm={"ContainerEntrypoint": entry})


def boosted(peer: Peer, role: str) -> float:
    """Train XGBoost's built-in algorithm."""
    return job_s(peer, XGBOOST, "train", role=role, HyperParameters={"objective": "binary:logistic", "num_round": "20"})


def command_s(command: list[Any]) -> float:
    """Run a command; seconds."""
    began = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def medians(*measures: Callable[[], float]) -> list[float]:
    """Measure by turns and give each one's median in ms; a first round warms up and does not count."""
    for measure in measures:
        measure()
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [statistics.median(values) * 1000 for values in zip(*rounds, strict=True)]


def processes() -> Table:
    """Measure the process runner."""
    table = Table("Jobs in processes, Create to Completed, median ms", "bare process")
    pythons = {
        name: virtual_environment(RECIPES[name], cuda=False, cache_dir=default_cache_dir(), log_line=print)
        for name in ("scikit_learn", "xgboost")
    }
    with ours() as peer, tempfile.TemporaryDirectory() as folder:
        prepare(peer)
        data = Path(folder) / "train.csv"
        data.write_bytes(table_bytes())
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        bare, ours_ms = medians(lambda: command_s([pythons["scikit_learn"], "-c", "pass"]), lambda: trivial(peer, role))
        table.row("trivial script", bare, ours_ms, less=True, at_most=150)
        bare, ours_ms = medians(
            lambda: command_s([pythons["xgboost"], "-c", BARE_XGBOOST, data, Path(folder) / "model.json"]),
            lambda: boosted(peer, role),
        )
        table.row("XGBoost, 1,000 x 20, 20 rounds", bare, ours_ms, less=True, at_most=1.3 * bare)
    return table


def containers() -> Table:
    """Measure the docker runner against `docker run` of the same image."""
    table = Table("Jobs in Docker, Create to Completed, median ms", "docker run")
    with ours(LOCALMAKER_RUNNER="docker", **base_image()) as peer, tempfile.TemporaryDirectory() as folder:
        prepare(peer)
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        trivial(peer, role)  # makes the image
        listed = subprocess.run(
            ["docker", "images", "-q", "localmaker/scikit_learn"], check=True, capture_output=True, text=True
        )
        image = listed.stdout.split()[0]
        code = Path(folder) / "input" / "data" / "code"
        (Path(folder) / "model").mkdir()
        code.mkdir(parents=True)
        (code / "job.py").write_text(TRIVIAL)
        command = [
            "docker", "run", "--rm", "--network", "none", "-v", f"{folder}:/opt/ml", "--entrypoint", "python", image,
            "/opt/ml/input/data/code/job.py",
        ]  # fmt: skip
        bare, ours_ms = medians(lambda: command_s(command), lambda: trivial(peer, role))
        table.row("trivial script", bare, ours_ms, less=True, at_most=1.3 * bare)
    return table


def run() -> list[Table]:
    """Measure each runner that is to be had."""
    tables = [processes()]
    if docker_reason():
        print(f"  docker is left out: {docker_reason()}", flush=True)
    else:
        tables.append(containers())
    return tables
