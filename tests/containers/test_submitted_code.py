"""`sagemaker_submit_directory` in S3: the job's AWS_ENDPOINT_URL is where it comes from, in training and in serving."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.containers.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.containers.conftest import Job

pytestmark = pytest.mark.slow


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("_py", ".py"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def upload(endpoint: str, body: bytes) -> tuple[str, dict[str, str]]:
    environment = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="000000000000",
        aws_secret_access_key="x",
    )
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="job/source/sourcedir.tar.gz", Body=body)
    s3.close()
    return "s3://code/job/source/sourcedir.tar.gz", environment


def test_training_fetches_the_script(job: Job, python: Callable[[str], Path], endpoint: str) -> None:
    script = "import sys, helper_module; print('told', sys.argv[1:], helper_module.WORD)"
    uri, job.environment = upload(endpoint, archive(train_py=script, helper_module_py="WORD = 'hello'"))
    job.write(
        {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(uri),
            "epochs": "3",
            "name": '"a b"',
        },
        {},
    )
    done = job.train(python("scikit_learn"), "scikit_learn")
    assert done.returncode == 0, done.stderr
    assert "told ['--epochs', '3', '--name', 'a b'] hello" in done.stdout


def test_a_missing_archive_fails_with_a_reason(job: Job, python: Callable[[str], Path], endpoint: str) -> None:
    uri, job.environment = upload(endpoint, archive(train_py=""))
    job.write({"sagemaker_program": '"train.py"', "sagemaker_submit_directory": json.dumps(f"{uri}.not")}, {})
    assert job.train(python("scikit_learn"), "scikit_learn").returncode == 1
    assert "Not Found" in job.failure


def test_serving_fetches_the_handlers(job: Job, python: Callable[[str], Path], endpoint: str) -> None:
    (job.base / "model").mkdir()
    script = "def model_fn(d):\n    return 2\ndef predict_fn(data, model):\n    return data * model\n"
    uri, job.environment = upload(endpoint, archive(train_py=script))
    job.environment |= {"SAGEMAKER_PROGRAM": "train.py", "SAGEMAKER_SUBMIT_DIRECTORY": uri}
    with job.served(python("scikit_learn"), "scikit_learn") as server:
        assert server.json([[1, 2]]) == [[2, 4]]
