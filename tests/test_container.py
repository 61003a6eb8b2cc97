"""The Testcontainers helper: the server's image, its jobs beside it or in it, gone at the end of the block."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testcontainers.core.config import testcontainers_config

from localmaker_container import LocalMakerContainer
from tests import engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.slow]
TRAIN = """import pathlib
print("trained in", "docker" if pathlib.Path("/.dockerenv").exists() else "process")
pathlib.Path("/opt/ml/model/made").write_text("made")
"""


@pytest.fixture(scope="module", autouse=True)
def _without_the_reaper() -> Iterator[None]:
    """Testcontainers' own reaper is an image from a registry; the block below removes what it starts."""
    before, testcontainers_config.ryuk_disabled = testcontainers_config.ryuk_disabled, True
    yield
    testcontainers_config.ryuk_disabled = before


@pytest.fixture
def customer_image(tmp_path: Path) -> Iterator[str]:
    """Build a customer's own image: their script is `train` on its PATH."""
    if engine.docker_reason():
        pytest.skip(engine.docker_reason())
    tag = f"localmaker-suite:{uuid.uuid4().hex}"
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "train").write_text(f"#!/usr/bin/env python3\n{TRAIN}")
    (tmp_path / "image" / "train").chmod(0o755)
    base = os.environ.get("LOCALMAKER_BASE_IMAGE", engine.LOCAL_BASE)
    (tmp_path / "image" / "Dockerfile").write_text(f"FROM {base}\nCOPY train /usr/local/bin/train\n")
    subprocess.run(["docker", "build", "-q", "-t", tag, str(tmp_path / "image")], check=True, capture_output=True)
    yield tag
    subprocess.run(["docker", "rmi", "--force", tag], check=True, capture_output=True)


def is_gone(identifier: str) -> bool:
    requested = subprocess.run(["docker", "inspect", identifier], capture_output=True, text=True, check=False)
    return "No such object" in requested.stderr


def test_a_server_in_a_container_trains_beside_itself_and_leaves_nothing(tmp_path: Path, customer_image: str) -> None:
    (tmp_path / "init" / "ready.d").mkdir(parents=True)
    script = "import boto3; boto3.client('s3').create_bucket(Bucket='from-init')"
    (tmp_path / "init" / "ready.d" / "bucket.py").write_text(script)
    job = f"job-{uuid.uuid4().hex[:12]}"
    with LocalMakerContainer(engine.server_image(), init=tmp_path / "init") as localmaker:
        assert localmaker.client("s3").list_buckets()["Buckets"][0]["Name"] == "from-init"
        given = localmaker.exports
        assert given["AWS_ENDPOINT_URL"] == given["HTTPS_PROXY"] == localmaker.url
        assert Path(given["AWS_CA_BUNDLE"]).is_file()
        code = "import boto3; c = boto3.client('sts', endpoint_url='https://sts.eu-west-1.amazonaws.com')"
        code += "; print(c.get_caller_identity()['Account'])"  # at its real address, as the SageMaker SDKs do
        requested = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, check=True
        )
        assert requested.stdout.strip() == "000000000000"

        sagemaker = localmaker.client("sagemaker")
        sagemaker.create_training_job(
            TrainingJobName=job,
            RoleArn="arn:aws:iam::000000000000:role/SageMakerExecutionRole",
            AlgorithmSpecification={"TrainingImage": customer_image, "TrainingInputMode": "File"},
            OutputDataConfig={"S3OutputPath": "s3://from-init/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 120},
        )
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=job, WaiterConfig={"Delay": 1})
        assert sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"] == "Completed"
        kept = localmaker.client("s3").list_objects_v2(Bucket="from-init")["Contents"]
        assert [each["Key"] for each in kept] == [f"out/{job}/output/model.tar.gz"]
        identifier = localmaker.get_container_id()
        published = localmaker.get_wrapped_container().ports["4566/tcp"]
        assert [each["HostIp"] for each in published] == ["127.0.0.1"]
    assert is_gone(identifier)


def test_with_processes_inside_it_has_no_socket_and_a_failing_init_script_ends_the_block(tmp_path: Path) -> None:
    (tmp_path / "init" / "ready.d").mkdir(parents=True)
    script = "test -e /var/run/docker.sock && echo has a socket; localmaker status --json | grep -o '\"docker\": .*'; exit 9\n"
    (tmp_path / "init" / "ready.d" / "wrong.sh").write_text(script)
    container = LocalMakerContainer(engine.server_image(), runner="process", init=tmp_path / "init")
    with pytest.raises(RuntimeError, match=r"init scripts failed: wrong\.sh") as failed, container:
        pass
    assert "wrong.sh FAILED: exit status 9" in str(failed.value)
    assert "has a socket" not in str(failed.value)
    assert is_gone(container.get_container_id())
