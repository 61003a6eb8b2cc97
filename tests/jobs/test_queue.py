"""What becomes of running jobs when their account is reset, and of what earlier servers left."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import LiveServer
from tests.site import channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT = "123412341234"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    made = LiveServer(tmp_path / "data", {"runner": "process"})
    made.start()
    yield made
    made.stop()


def request(live: LiveServer, what: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{live.url}/_localmaker/{what}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=70) as answer:
        return json.load(answer)


def until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_sleeper(live: LiveServer) -> Any:
    client = live.client("sagemaker", ACCOUNT)
    live.client("s3", ACCOUNT).create_bucket(Bucket="sleepers")
    client.create_training_job(
        TrainingJobName="sleeper",
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sleep", "600"],
        },
        OutputDataConfig={"S3OutputPath": "s3://sleepers/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )

    def is_training() -> bool:
        described = client.describe_training_job(TrainingJobName="sleeper")
        assert described["TrainingJobStatus"] == "InProgress", described.get("FailureReason")
        return bool(described["SecondaryStatus"] == "Training")

    until(is_training, 300)
    return client


@pytest.mark.slow
def test_a_reset_ends_running_jobs_and_leaves_nothing(live: LiveServer) -> None:
    client = start_sleeper(live)
    assert [job["phase"] for job in request(live, "jobs")["jobs"]] == ["running"]
    request(live, "reset", {"account": ACCOUNT})
    assert request(live, "jobs")["jobs"] == []
    assert client.list_training_jobs()["TrainingJobSummaries"] == []
    assert not list((live.data_dir / "jobs").iterdir())


@pytest.mark.slow
def test_what_runs_for_nobody_is_swept_at_the_next_start(live: LiveServer) -> None:
    start_sleeper(live)
    live.kill()
    for name in ("state.db", "state.db-wal", "state.db-shm"):  # as if the database had been restored from before
        (live.data_dir / name).unlink(missing_ok=True)
    live.start()
    until(lambda: not list((live.data_dir / "jobs").iterdir()))
    assert request(live, "jobs")["jobs"] == []


STARTS_ANOTHER = """
import json, os, time, urllib.request
def call(operation, **request):
    scope = f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/20261127/us-east-1/sagemaker/aws4_request, "
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1",
        "Authorization": scope + "SignedHeaders=host, Signature=0", "X-Amz-Security-Token": os.environ["AWS_SESSION_TOKEN"],
    }
    asked = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(request).encode(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)
mine = call("DescribeTrainingJob", TrainingJobName="parent")
call("CreateTrainingJob", TrainingJobName="child", **{name: mine[name] for name in (
    "RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
)}, AlgorithmSpecification={**mine["AlgorithmSpecification"], "ContainerEntrypoint": ["/bin/true"]})
while call("DescribeTrainingJob", TrainingJobName="child")["TrainingJobStatus"] != "Completed":
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_job_waits_for_one_that_it_started_where_there_is_one_place(tmp_path: Path) -> None:
    live = LiveServer(tmp_path / "data", {"runner": "process", "max_jobs": 1})
    live.start()
    try:
        client = live.client("sagemaker", ACCOUNT)
        s3 = live.client("s3", ACCOUNT)
        s3.create_bucket(Bucket="parents")
        s3.put_object(Bucket="parents", Key="code/job.py", Body=STARTS_ANOTHER.encode())
        client.create_training_job(
            TrainingJobName="parent",
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "/opt/ml/input/data/code/job.py"],
            },
            InputDataConfig=[channel("code", "s3://parents/code/")],
            OutputDataConfig={"S3OutputPath": "s3://parents/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        until(lambda: client.describe_training_job(TrainingJobName="parent")["TrainingJobStatus"] != "InProgress", 300)
        parent = client.describe_training_job(TrainingJobName="parent")
        assert parent["TrainingJobStatus"] == "Completed", parent.get("FailureReason")
    finally:
        live.stop()
