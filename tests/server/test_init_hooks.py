"""Init scripts: run in order in the environment of `localmaker env`, told about by the admin API, at every start anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT_S = 30.0
BUCKET = "import boto3\nboto3.client('s3').create_bucket(Bucket='made-at-the-start')\nprint('bucket', 'made')\n"
# STS at its real address, with its own CA: what both SageMaker SDKs do.
STS = "aws = __import__('boto3').client('sts', region_name='eu-west-1', endpoint_url='https://sts.eu-west-1.amazonaws.com')\nprint(aws.get_caller_identity()['Account'])\n"


def request(url: str, path: str) -> Any:
    with urllib.request.urlopen(f"{url}/{path}", timeout=10) as answer:
        return json.load(answer)


def completed(server: LiveServer) -> Any:
    """Wait for the last script's end."""
    deadline = time.monotonic() + WAIT_S
    while not (answer := request(server.url, "_localmaker/init"))["completed"]["READY"]:
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)  # another process: there is nothing to wait on
    return answer


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, if nobody has asked for its exit status yet either."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    folder = tmp_path / "init" / "ready.d"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def start(tmp_path: Path, ready: Path) -> Iterator[Callable[..., LiveServer]]:
    made: list[LiveServer] = []

    def begin(**settings: Any) -> LiveServer:
        made.append(LiveServer(tmp_path / "data", {"init_dir": ready.parent, **settings}))
        made[-1].start()
        return made[-1]

    yield begin
    for each in made:
        each.stop()


def test_scripts_run_in_order_at_each_start_and_one_that_fails_is_told(
    ready: Path, start: Callable[..., LiveServer]
) -> None:
    (ready / "10-bucket.py").write_text(BUCKET)
    (ready / "20-wrong.sh").write_text("echo about to fail >&2; exit 7\n")
    (ready / "30-sts.py").write_text(STS)
    (ready / "40-which.sh").write_text(
        "python -c 'import boto3'; echo \"${AWS_ENDPOINT_URL} $(localmaker env --json | wc -l) in $PWD\"\n"
    )
    (ready / "notes.txt").write_text("no script")
    server = start()
    states = {
        "10-bucket.py": "SUCCESSFUL", "20-wrong.sh": "ERROR", "30-sts.py": "SUCCESSFUL", "40-which.sh": "SUCCESSFUL",
    }  # fmt: skip
    scripts = completed(server)["scripts"]
    log = server.log.read_text()
    assert [script["name"] for script in scripts] == list(states)
    assert {script["name"]: script["state"] for script in scripts} == states, log
    assert {script["stage"] for script in scripts} == {"READY"}
    assert scripts[1]["reason"] == "exit status 7"
    assert request(server.url, "_localstack/init") == request(server.url, "_localmaker/init")
    health = request(server.url, "_localmaker/health")
    assert health["init"] == {"completed": True, "failed": ["20-wrong.sh"]}
    assert health["status"] == "ready"

    for line in ("10-bucket.py: bucket made", "20-wrong.sh: about to fail", "20-wrong.sh FAILED: exit status 7"):
        assert line in log
    assert "30-sts.py: 000000000000" in log
    assert f"40-which.sh: {server.url} " in log
    assert f"in {ready}" in log
    assert server.client("s3", "000000000000").list_buckets()["Buckets"][0]["Name"] == "made-at-the-start"

    server.stop()
    (ready / "20-wrong.sh").write_text("echo mended\n")
    server.start()
    assert {script["state"] for script in completed(server)["scripts"]} == {"SUCCESSFUL"}  # S3 takes its owner's again
    assert request(server.url, "_localmaker/health")["init"]["failed"] == []


def test_a_server_without_scripts_has_nothing_to_wait_for(server: LiveServer) -> None:
    assert completed(server) == {"completed": {"READY": True}, "scripts": []}


def test_scripts_have_a_key_where_keys_are_verified_and_end_with_their_server(
    ready: Path, start: Callable[..., LiveServer]
) -> None:
    (ready / "1.py").write_text(STS)
    (ready / "forever.sh").write_text("echo $$ >pid.new; mv pid.new pid; exec sleep 1000\n")
    server = start(auth="enforce")
    deadline = time.monotonic() + WAIT_S
    while not (ready / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    scripts = request(server.url, "_localmaker/init")["scripts"]
    assert [script["state"] for script in scripts] == ["SUCCESSFUL", "RUNNING"], server.log.read_text()
    server.stop()
    assert has_ended(int((ready / "pid").read_text()))


def command(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "LOCALMAKER_DATA_DIR": str(tmp_path / "cli"), "LOCALMAKER_RUNNER": "process",
        "LOCALMAKER_PORT": "0", "LOCALMAKER_INIT_DIR": str(tmp_path / "init"), **settings,
    }  # fmt: skip
    whole = [sys.executable, "-m", "server.cli", *arguments]
    return subprocess.run(whole, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_start_waits_for_the_scripts(tmp_path: Path, ready: Path) -> None:
    (ready / "1.sh").write_text("sleep 0.3; touch done\n")
    (ready / "2.sh").write_text("exit 3\n")
    started = command(tmp_path, "start", "-d")
    try:
        assert started.returncode == 0
        assert (ready / "done").exists()
        assert f"Running 2 init scripts of {ready}" in started.stdout
        assert "init script 2.sh failed: exit status 3" in started.stderr
        assert command(tmp_path, "status").returncode == 0
        told = command(tmp_path, "status", "--init")
        assert (told.returncode, told.stderr.strip()) == (4, "Init scripts: 2.sh")
    finally:
        command(tmp_path, "stop")


def test_a_script_that_takes_too_long_ends_a_strict_server(tmp_path: Path, ready: Path) -> None:
    (ready / "2.sh").write_text("sleep 1000 & echo $! >child; wait\n")
    started = command(tmp_path, "start", "-d", LOCALMAKER_INIT_STRICT="1", LOCALMAKER_INIT_TIMEOUT_S="1")
    assert started.returncode == 1
    assert "init scripts failed (LOCALMAKER_INIT_STRICT): 2.sh" in started.stderr
    assert "2.sh FAILED: stopped after 1 s (LOCALMAKER_INIT_TIMEOUT_S)" in (tmp_path / "cli" / "server.log").read_text()
    assert command(tmp_path, "status").returncode == 3
    assert has_ended(int((ready / "child").read_text())), "what a script started ends with it"
