"""The command line as a user types it: start, look, point clients at it, reset, stop, start again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import boto3
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.site import Site

    Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def localmaker(tmp_path: Path) -> Iterator[Command]:
    """Yield `localmaker("status", "--json")`: the command on a data directory of its own."""
    environment = {
        **os.environ,
        "LOCALMAKER_DATA_DIR": str(tmp_path / "data"),
        "LOCALMAKER_CACHE_DIR": str(tmp_path / "cache"),
        "LOCALMAKER_RUNNER": "process",
        "LOCALMAKER_PORT": "0",
        "COLUMNS": "200",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    yield run
    run("stop")


def test_a_server_is_started_asked_reset_and_stopped(localmaker: Command) -> None:
    assert localmaker("status").returncode == 3
    started = localmaker("start", "--detach")
    assert started.returncode == 0, started.stderr
    assert "Ready at http://127.0.0.1:" in started.stdout
    again = localmaker("start", "-d")
    assert again.returncode == 1
    assert "running already" in again.stderr

    status = json.loads(localmaker("status", "--json").stdout)
    assert status["health"]["status"] == "ready"
    assert "process" in localmaker("status").stdout

    variables = json.loads(localmaker("env", "--json").stdout)
    assert variables["AWS_ENDPOINT_URL"] == status["url"]
    assert f"export AWS_ENDPOINT_URL={status['url']}" in localmaker("env").stdout

    session = boto3.session.Session("000000000000", "x", region_name="us-east-1")
    client = session.client("sagemaker", endpoint_url=status["url"])
    role = "arn:aws:iam::000000000000:role/r"
    client.create_model(ModelName="kept", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
    assert json.loads(localmaker("jobs", "--json").stdout) == {"jobs": []}
    assert "Ready." in localmaker("logs").stdout

    assert localmaker("stop").returncode == 0
    assert localmaker("stop").returncode == 3
    assert localmaker("start", "-d").returncode == 0
    url = json.loads(localmaker("status", "--json").stdout)["url"]
    client = session.client("sagemaker", endpoint_url=url)
    assert client.describe_model(ModelName="kept")["ModelName"] == "kept"
    assert localmaker("reset", "--yes").returncode == 0
    assert client.list_models()["Models"] == []


def test_jobs_that_ended_are_shown_with_how(local: Site) -> None:
    name = local.start("import sys; sys.exit(1)")
    local.ended(name)
    done = local.run("print(1)")["TrainingJobName"]
    environment = {**os.environ, "LOCALMAKER_DATA_DIR": str(local.live.data_dir), "COLUMNS": "300"}

    def shown(*options: str) -> str:
        command = [sys.executable, "-m", "server.cli", "jobs", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    listed = json.loads(shown("--all", "--json"))["ended"]
    ended = {job["name"]: job for job in listed if local.account in job["arn"]}
    assert list(ended) == [done, name]  # the last one first
    assert (ended[done]["status"], ended[done]["reason"]) == ("Completed", "")
    assert ended[name]["status"] == "Failed"
    assert "exit code: 1" in ended[name]["reason"]
    assert 0 <= ended[done]["seconds"] < 60
    assert "ended" not in json.loads(shown("--json"))
    line = next(line for line in shown("--all").splitlines() if name in line)
    assert "Failed" in line
    assert " s " in line


def test_the_log_of_each_kind_of_work_is_printed(local: Site) -> None:
    logs = local.client("logs")
    groups = {"/aws/sagemaker/TrainingJobs": "x/algo-1", "/aws/sagemaker/ProcessingJobs": "x/algo-1"}
    for group, stream in {**groups, "/aws/sagemaker/Endpoints/x": "all/i-1"}.items():
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": f"line of {group}"}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    environment = {**os.environ, "LOCALMAKER_DATA_DIR": str(local.live.data_dir)}
    command = [sys.executable, "-m", "server.cli", "logs", "x", "--account", local.account]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [line.partition("line of ")[2] for line in printed.splitlines()] == [*groups, "/aws/sagemaker/Endpoints/x"]
    other = subprocess.run(
        [*command[:-1], "999988887777"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (other.returncode, other.stderr.strip()) == (
        1,
        "Account 999988887777 has no log of x; --account names another one.",
    )


def test_a_bad_setting_is_named(localmaker: Command) -> None:
    failed = localmaker("start", "--runner", "kubernetes")
    assert failed.returncode == 1
    assert failed.stderr.strip() == "LOCALMAKER_RUNNER must be one of auto, docker, process"


def test_recipes_are_listed_and_nothing_is_pruned_from_an_empty_cache(localmaker: Command) -> None:
    listed = json.loads(localmaker("images", "list", "--json").stdout)
    assert {"aws_lambda", "xgboost", "scikit_learn", "pytorch", "inference", "base_python", "spark"} == {
        row["recipe"] for row in listed
    }
    assert all(row["environment"] is None for row in listed)
    unknown = localmaker("images", "build", "tensorflow")
    assert unknown.returncode == 1
    assert "No recipe is named tensorflow" in unknown.stderr


def test_whoever_works_on_it_is_told_where_an_operation_is(localmaker: Command) -> None:
    output = localmaker("where", "CreateTrainingJob")
    assert "training/operations.py" in output.stdout
