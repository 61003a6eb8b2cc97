"""The AWS CLI, as people type it: s3, sagemaker, logs tail."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sdk.environments import environment
from tests.site import RUN_SCRIPT, SCIKIT_LEARN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sdk.conftest import Clients

pytestmark = pytest.mark.slow
CLOSED = "process"


@pytest.fixture(scope="session")
def runner() -> str:
    """One runner is enough: the command line does not know them."""
    return CLOSED


def program(version: str) -> str:
    """Return the command line of a major version: 1 is PyPI's, 2 the distribution's."""
    if version == "v1":
        return str(environment("cli") / "aws")
    for path in filter(None, ("/usr/bin/aws", shutil.which("aws"))):
        if Path(path).exists():
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if said.startswith("aws-cli/2"):
                return path
    pytest.skip("version 2 of the AWS CLI is not installed (Debian: awscli)")


@pytest.fixture
def aws_cli(clients: Clients, account: str, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Return `aws_cli("s3", "ls")`: what the command printed; it must succeed."""
    name, given = program(request.param), clients.exported(account) | {"AWS_PAGER": ""}

    def run(*arguments: str) -> str:
        ran = clients.inside(name, *arguments, environment=given, timeout_s=400)
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    return run


@pytest.mark.parametrize("aws_cli", ["v1"], indirect=True)
def test_s3_copies_syncs_lists_presigns_and_removes(aws_cli: Callable[..., str], account: str, tmp_path: Path) -> None:
    bucket, here = f"s3://cli-{account}", tmp_path / "here"
    (here / "deep").mkdir(parents=True)
    (here / "a.txt").write_text("a")
    (here / "deep" / "b c.bin").write_bytes(bytes(9 << 20))  # in parts
    assert "make_bucket" in aws_cli("s3", "mb", bucket)
    assert "upload: " in aws_cli("s3", "cp", str(here / "a.txt"), f"{bucket}/one.txt", "--no-progress")
    aws_cli("s3", "sync", str(here), f"{bucket}/folder", "--no-progress")
    assert aws_cli("s3", "sync", str(here), f"{bucket}/folder", "--no-progress") == ""  # nothing changed
    listed = aws_cli("s3", "ls", f"{bucket}/", "--recursive")
    assert [line.split(maxsplit=3)[2:] for line in listed.splitlines()] == [
        ["1", "folder/a.txt"], [str(9 << 20), "folder/deep/b c.bin"], ["1", "one.txt"],
    ]  # fmt: skip
    assert "PRE folder/" in aws_cli("s3", "ls", f"{bucket}/")
    back = tmp_path / "back"
    aws_cli("s3", "sync", f"{bucket}/folder", str(back), "--no-progress")
    assert (back / "deep" / "b c.bin").read_bytes() == bytes(9 << 20)
    aws_cli("s3", "mv", f"{bucket}/one.txt", f"{bucket}/two.txt", "--no-progress")
    url = aws_cli("s3", "presign", f"{bucket}/two.txt").strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"a"
    aws_cli("s3", "rm", f"{bucket}/folder", "--recursive")
    assert aws_cli("s3", "ls", f"{bucket}/").split()[-1] == "two.txt"
    aws_cli("s3", "rb", bucket, "--force")
    assert aws_cli("s3", "ls") == ""


@pytest.mark.parametrize("aws_cli", ["v2"], indirect=True)
def test_sagemaker_trains_waits_and_shows_its_log(
    clients: Clients, aws_cli: Callable[..., str], account: str, tmp_path: Path
) -> None:
    clients.prepare({"scikit_learn"})
    bucket = f"cli-jobs-{account}"
    aws_cli("s3", "mb", f"s3://{bucket}")
    script = tmp_path / "job.py"
    script.write_text("print('hello from the job')\n")
    aws_cli("s3", "cp", str(script), f"s3://{bucket}/code/job.py", "--no-progress")
    role = json.loads(aws_cli("iam", "get-role", "--role-name", "SageMakerExecutionRole"))["Role"]["Arn"]
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/code/"}
    channels = [{"ChannelName": "code", "DataSource": {"S3DataSource": source}}]
    aws_cli(
        "sagemaker", "create-training-job", "--training-job-name", "from-the-cli", "--role-arn", role,
        "--algorithm-specification",
        json.dumps({"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File", "ContainerEntrypoint": RUN_SCRIPT}),
        "--input-data-config", json.dumps(channels), "--output-data-config", f"S3OutputPath=s3://{bucket}/out",
        "--resource-config", "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1",
        "--stopping-condition", "MaxRuntimeInSeconds=300",
    )  # fmt: skip
    aws_cli("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", "from-the-cli")
    described = aws_cli("sagemaker", "describe-training-job", "--training-job-name", "from-the-cli",
                        "--query", "TrainingJobStatus", "--output", "text")  # fmt: skip
    assert described.strip() == "Completed"
    assert "from-the-cli" in aws_cli("sagemaker", "list-training-jobs", "--output", "table")
    group = "/aws/sagemaker/TrainingJobs"
    shown = json.loads(
        aws_cli("logs", "filter-log-events", "--log-group-name", group, "--log-stream-name-prefix", "from-the-cli/")
    )
    assert "hello from the job" in [event["message"] for event in shown["events"]]
    tail = [line.split(maxsplit=2)[2] for line in aws_cli("logs", "tail", group, "--since", "1h").splitlines()]
    assert "hello from the job" in tail


@pytest.mark.parametrize("aws_cli", ["v2"], indirect=True)
def test_logs_tail_follows(aws_cli: Callable[..., str], clients: Clients, account: str) -> None:
    aws_cli("logs", "create-log-group", "--log-group-name", "followed")
    aws_cli("logs", "create-log-stream", "--log-group-name", "followed", "--log-stream-name", "one")
    command = (*clients.cut_off.client_prefix, program("v2"), "logs", "tail", "followed", "--follow", "--since", "1h")
    given = clients.exported(account) | {"PYTHONUNBUFFERED": "1"}
    logs = clients.live.client("logs", account)
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        for text in ("first", "second"):
            event = {"timestamp": int(time.time() * 1000), "message": text}
            logs.put_log_events(logGroupName="followed", logStreamName="one", logEvents=[event])
            assert following.stdout.readline().split()[-2:] == ["one", text]
        following.terminate()
    logs.close()
