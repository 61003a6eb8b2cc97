"""What users' CI gets: the GitHub Action and the example workflows, run step by step against real servers."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import pytest

from server.listener import proxy_key
from tests import engine
from tests.github import ROOT, Runner, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import LiveServer

WORKFLOWS = sorted((ROOT / "examples" / "ci").glob("*.yml"))
ACCOUNT = "111122223333"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Runner]:
    """Yield a runner whose Python has boto3 and LocalMaker already: `pip` does nothing."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "pip").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCALMAKER_"))}
    path = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    made = Runner(tmp_path, {**kept, "PATH": os.pathsep.join(path)}, {"port": "0"})
    yield made
    if "LOCALMAKER_DATA_DIR" in made.environment:
        subprocess.run(["localmaker", "stop"], env=made.environment, capture_output=True, check=False)


@pytest.mark.parametrize("path", [ROOT / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_githubs_own_schemas_accept_it(path: Path) -> None:
    schema = "vendor.github-actions" if path.name == "action.yml" and path.parent == ROOT else "vendor.github-workflows"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_example_of_the_action_runs(github: Runner) -> None:
    github.steps(read(ROOT / "examples" / "ci" / "action.yml")["jobs"]["test"]["steps"])
    assert "account 000000000000" in github.output
    assert "Ready at http://127.0.0.1:" in github.output
    assert "::group::LocalMaker's log" in github.output
    assert "Stopped http://127.0.0.1:" in github.output
    assert not (github.folder / "temp" / "localmaker" / "data" / "server.json").exists()


def test_init_scripts_settings_account_and_region_reach_the_steps_behind(github: Runner) -> None:
    ready = github.folder / "work" / "init" / "ready.d"
    ready.mkdir(parents=True)
    (ready / "bucket.py").write_text("import boto3; boto3.client('s3').create_bucket(Bucket='from-init')")
    github.environment |= {"AWS_SESSION_TOKEN": "of another cloud", "NO_PROXY": "corp.example"}
    inputs = {"init-dir": "init", "account": ACCOUNT, "region": "eu-west-3", "direct": "files.example"}
    outputs = github.action({**inputs, "port": "0", "runner": "process", "settings": "LOCALMAKER_AUTH=off\n\n"})
    given = github.environment
    assert outputs == {"url": given["AWS_ENDPOINT_URL"]}
    assert (given["AWS_REGION"], given["AWS_ACCESS_KEY_ID"]) == ("eu-west-3", ACCOUNT)
    assert given["AWS_SESSION_TOKEN"] == ""
    assert proxy_key.without(given["HTTPS_PROXY"]) == outputs["url"]
    assert {"127.0.0.1", "github.com", "pypi.org", "files.example", "corp.example"} <= {*given["NO_PROXY"].split(",")}
    assert "amazonaws.com" not in given["NO_PROXY"]
    code = "import boto3; print('at', boto3.client('sts').get_caller_identity()['Account'])"
    github.run(f'python -c "{code}"; localmaker status --init', {})
    assert f"at {ACCOUNT}" in github.output
    s3 = boto3.client("s3", endpoint_url=outputs["url"], aws_access_key_id="0" * 12, aws_secret_access_key="x")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["from-init"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"settings": "PATH=/tmp"}, '::error::settings: "PATH=/tmp" is not LOCALMAKER_NAME=value'),
        ({"init-dir": "int"}, "::error::init-dir: there is no folder int/ready.d"),
        ({"init-dir": "init"}, "init scripts failed (LOCALMAKER_INIT_STRICT): wrong.sh"),
    ],
)
def test_a_server_that_cannot_start_fails_the_step(github: Runner, inputs: dict[str, str], said: str) -> None:
    ready = github.folder / "work" / "init" / "ready.d"
    ready.mkdir(parents=True)
    (ready / "wrong.sh").write_text("exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        github.action({"port": "0", "runner": "process", **inputs})
    assert said in github.output
    assert "AWS_ENDPOINT_URL" not in github.environment


def test_a_server_that_runs_already_is_taken_and_what_misleads_is_refused(github: Runner, server: LiveServer) -> None:
    assert github.action({"url": server.url}) == {"url": server.url}
    assert github.environment["AWS_ENDPOINT_URL"] == server.url
    github.environment["AWS_PROFILE"] = "production"
    with pytest.raises(subprocess.CalledProcessError):
        github.action({"url": server.url})
    assert "::error::AWS_PROFILE is set in this job" in github.output


def test_a_services_name_is_a_host_of_ours(server: LiveServer) -> None:
    """A job in a container of its own asks a service under its name."""
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=10)
    connection.request("GET", "/_localmaker/health", headers={"Host": "localmaker:4566"})
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.docker
@pytest.mark.slow
def test_the_example_of_the_service_container_runs(github: Runner) -> None:
    job = read(ROOT / "examples" / "ci" / "services.yml")["jobs"]["test"]
    service = job["services"]["localmaker"]
    command = ["docker", "run", "--detach", "--publish", "127.0.0.1::4566"]
    assert service["ports"] == ["127.0.0.1:4566:4566"]
    for volume in service["volumes"]:
        command += ["--volume", volume]
    for name, value in service["env"].items():
        command += ["--env", f"{name}={value}"]
    requested = subprocess.run([*command, engine.server_image()], capture_output=True, text=True, check=True)
    container = requested.stdout.strip()
    try:
        published = _docker("port", container, "4566/tcp").rpartition(":")[2]
        deadline = time.monotonic() + 60  # the runner waits until the image's health check passes
        while _docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
            assert time.monotonic() < deadline, _docker("logs", container)
            time.sleep(0.2)  # another process: there is nothing to wait on
        steps = [
            {**step, "run": step["run"].replace("localhost:4566", f"localhost:{published}")}
            for step in job["steps"] if "run" in step
        ]  # fmt: skip
        github.environment["LOCALMAKER_DATA_DIR"] = str(github.folder / "data")
        github.steps(steps)
        assert "account 000000000000" in github.output
    finally:
        _docker("rm", "--force", "--volumes", container)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()
