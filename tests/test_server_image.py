"""The server's own image, on a real engine: it finds its data directory there, and its jobs find it, restarts included."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import boto3
import docker
import pytest
from botocore.exceptions import WaiterError
from docker.errors import APIError, DockerException, NotFound

from tests.engine import server_image

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = os.environ.get("LOCALMAKER_BASE_IMAGE", "localmaker/base:bookworm")
SOCKET = "/var/run/docker.sock"
ACCOUNT, REGION = "123412341234", "us-east-1"
WAIT_S = 60.0
pytestmark = [pytest.mark.docker, pytest.mark.slow]

TRAIN = """#!/usr/bin/env python3
import json, os, socket, sys, time, urllib.request

def started():
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_localmaker/info", timeout=5) as answer:
        return json.load(answer)["started"]

def call(host):
    while True:  # a host that has not started yet has no name; the job's MaxRuntime ends this
        try:
            return socket.create_connection((host, 7777)).getpeername()[0]
        except OSError:
            time.sleep(0.1)

parameters = json.load(open("/opt/ml/input/config/hyperparameters.json"))
hosts = json.load(open("/opt/ml/input/config/resourceconfig.json"))["hosts"]
first, deadline, listener = started(), time.time() + 50, socket.create_server(("", 7777))
seen = {call(host) for host in hosts}
for _ in hosts:  # whoever ends takes its name away: all must have called first
    listener.accept()
print(socket.gethostname(), "sees", len(seen), "and the server", flush=True)
while parameters.get("until") == "restart" and time.time() < deadline:
    try:
        if started() != first:
            print("the server is another", flush=True)
            break
    except OSError:
        time.sleep(0.1)
with open("/opt/ml/input/data/train/x") as data, open("/opt/ml/model/y", "w") as model:
    model.write(data.read().upper())
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    try:
        client = docker.from_env()
        client.images.get(BASE)
    except (DockerException, NotFound) as error:
        pytest.skip(f"no Docker engine with {BASE}: {error}")
    if not Path(SOCKET).exists():
        pytest.skip("the engine's socket is elsewhere")
    yield client
    client.close()


@pytest.fixture(scope="module")
def customer_image(engine: Any) -> Iterator[str]:
    """Build a customer's own image: their script is `train` on its PATH."""
    tag = f"localmaker-suite:{uuid.uuid4().hex}"
    files = {"train": TRAIN, "Dockerfile": f"FROM {BASE}\nCOPY train /usr/local/bin/train\n"}
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    engine.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    yield tag
    engine.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def server(engine: Any) -> Iterator[Any]:
    """Run the image as docker-compose.yml does, on a free port."""
    image = server_image()
    volume = engine.volumes.create()
    mounts = {volume.name: {"bind": "/data"}, SOCKET: {"bind": SOCKET}}
    ports = {"4566/tcp": ("127.0.0.1", None)}
    container = engine.containers.run(image, detach=True, init=True, ports=ports, volumes=mounts)
    yield container
    container.remove(force=True, v=True)
    volume.remove(force=True)


def url_of(container: Any) -> str:
    """Return the published URL, once the server answers there."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        container.reload()
        published = container.ports.get("4566/tcp")
        try:
            url = f"http://127.0.0.1:{published[0]['HostPort']}"
            with urllib.request.urlopen(f"{url}/_localmaker/health", timeout=5):
                return url
        except (TypeError, URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(container.logs().decode())


Client = Callable[[str], Any]


@pytest.fixture
def client(server: Any) -> Client:
    def make(service: str) -> Any:
        keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=url_of(server), region_name=REGION, **keys)

    return make


def train(client: Client, image: str, instances: int = 1, **hyperparameters: str) -> tuple[str, str]:
    """Start a job on one object of a bucket of its own; give its name and its bucket."""
    name = f"job-{uuid.uuid4().hex[:12]}"
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/x", Body=b"hello")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"}}
    client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/SageMakerExecutionRole",
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters=hyperparameters,
        InputDataConfig=[{"ChannelName": "train", "DataSource": source}],
        OutputDataConfig={"S3OutputPath": f"s3://{name}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": instances, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 120},
    )
    return name, name


def finished(client: Client, job: str) -> tuple[dict[str, Any], str]:
    """Wait for a job's end: what Describe says, and its log."""
    sagemaker = client("sagemaker")
    with contextlib.suppress(WaiterError):  # it failed: the caller's assertion shows the log
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job)
    return sagemaker.describe_training_job(TrainingJobName=job), log_of(client, job)


def log_of(client: Client, job: str) -> str:
    """Read what a job has printed so far."""
    logs, group = client("logs"), "/aws/sagemaker/TrainingJobs"
    lines = []
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    for stream in streams:
        page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        lines += [event["message"] for event in page["events"]]
    return "\n".join(lines)


def model_of(client: Client, bucket: str, job: str) -> bytes:
    """Read the model file out of the job's archive."""
    archive = client("s3").get_object(Bucket=bucket, Key=f"out/{job}/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile("y")
        assert file is not None
        return file.read()


@pytest.mark.parametrize("instances", [1, 2])
def test_a_customers_image_trains_beside_the_server_and_reaches_it(
    client: Client, customer_image: str, instances: int
) -> None:
    job, bucket = train(client, customer_image, instances)
    described, log = finished(client, job)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason", "") + log
    for host in range(1, instances + 1):
        assert f"algo-{host} sees {instances} and the server" in log
    assert model_of(client, bucket, job) == b"HELLO"


@pytest.mark.parametrize("instances", [1, 2])
def test_a_job_survives_a_restart_of_the_servers_container(
    client: Client, server: Any, customer_image: str, instances: int
) -> None:
    job, bucket = train(client, customer_image, instances, until="restart")
    deadline = time.monotonic() + WAIT_S
    while log_of(client, job).count("and the server") < instances:
        assert time.monotonic() < deadline, log_of(client, job)
        time.sleep(0.1)
    server.restart(timeout=10)
    described, log = finished(client, job)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason", "") + log
    assert log.count("the server is another") == instances
    assert model_of(client, bucket, job) == b"HELLO"


def test_nothing_is_left_of_the_jobs(engine: Any, server: Any, client: Client) -> None:
    with urllib.request.urlopen(f"{url_of(server)}/_localmaker/info", timeout=5) as answer:
        label = f"localmaker.installation={json.load(answer)['installation']}"
    deadline = time.monotonic() + WAIT_S
    left: list[Any] = [None]
    while left and time.monotonic() < deadline:  # supervisors clean up behind the answer
        try:
            left = engine.containers.list(all=True, filters={"label": label})
        except APIError:  # one vanished between the list and its inspection
            continue
        left += engine.networks.list(filters={"label": label})
    assert left == []
