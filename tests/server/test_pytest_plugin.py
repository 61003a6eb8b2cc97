"""The users' fixture, in a pytest of its own, in a project whose packages have the names of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
import json
import os
import subprocess
import server
import boto3

LOCALMAKER = os.path.join(os.path.dirname(__import__("sys").executable), "localmaker")


def test_the_project_keeps_its_own_package():
    assert server.MINE == 1


def test_the_server_answers(localmaker):
    s3 = localmaker.client("s3", account="111122223333")
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="k", Body=b"v")
    assert localmaker.client("s3", account="111122223333").get_object(Bucket="mine", Key="k")["Body"].read() == b"v"
    assert localmaker.client("sts", account="111122223333").get_caller_identity()["Account"] == "111122223333"


def test_an_account_is_forgotten(localmaker):
    s3 = localmaker.client("s3", account="444455556666")
    s3.create_bucket(Bucket="theirs")
    localmaker.reset("444455556666")
    assert s3.list_buckets()["Buckets"] == []
    assert localmaker.client("s3", account="111122223333").list_buckets()["Buckets"] != []


def test_plain_boto3_comes_here(localmaker_env):
    assert os.environ["AWS_ENDPOINT_URL"] == localmaker_env.url
    assert boto3.client("sts").get_caller_identity()["Account"] == "000000000000"
    # STS at its real address, as both SageMaker SDKs ask it.
    sts = boto3.client("sts", endpoint_url="https://sts.eu-west-1.amazonaws.com")
    assert sts.get_caller_identity()["Account"] == "000000000000"
    assert "AWS_PROFILE" not in os.environ
    assert "AWS_ENDPOINT_URL_S3" not in os.environ
    assert boto3.client("s3").list_buckets()["Buckets"][0]["Name"] == "made-at-the-start"


def test_other_accounts_and_regions(localmaker, localmaker_env):
    told = json.loads(subprocess.run(
        [LOCALMAKER, "env", "--json", "--account", "111122223333", "--data-dir", localmaker.data_dir],
        capture_output=True, check=True, env={**os.environ, "AWS_DEFAULT_REGION": "eu-west-3", "PYTHONPATH": ""},
    ).stdout)
    assert localmaker.env_of("111122223333", "eu-west-3") == {**told, "AWS_REGION": "eu-west-3"}


def test_the_environment_is_put_back():
    assert os.environ["AWS_PROFILE"] == "nobody"
    assert "HTTPS_PROXY" not in os.environ


def test_its_url_for_the_outside(localmaker):
    with open("url.txt", "w") as file:
        file.write(localmaker.url)
"""


def run_project(folder: Path, tests: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a project's pytest as its owner would, with the plugin named, wherever LocalMaker is installed."""
    (folder / "server.py").write_text("MINE = 1\n")
    (folder / "backends").mkdir()
    (folder / "backends" / "__init__.py").write_text("raise RuntimeError('the project was imported')\n")
    (folder / "test_project.py").write_text(tests)
    boot = f"import sys; sys.path.append({str(ROOT)!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    command = [sys.executable, "-c", boot, "-q", "-p", "no:localmaker", "-p", "localmaker_pytest"]
    kept = {**os.environ, "PYTHONPATH": str(folder), "LOCALMAKER_RUNNER": "process", **environment}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=120, check=False)


def test_a_project_with_a_package_named_server_uses_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "init" / "ready.d").mkdir(parents=True)
    script = "import boto3; boto3.client('s3').create_bucket(Bucket='made-at-the-start')"
    (tmp_path / "init" / "ready.d" / "bucket.py").write_text(script)
    (tmp_path / "config").write_text("[profile nobody]\nregion = eu-north-1\n")
    elsewhere = {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    elsewhere["AWS_CONFIG_FILE"] = str(tmp_path / "config")
    done = run_project(tmp_path, PROJECT, LOCALMAKER_INIT_DIR="init", **elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
    port = (tmp_path / "url.txt").read_text().rpartition(":")[2]
    listening = Path("/proc/net/tcp").read_text() if Path("/proc/net/tcp").exists() else ""
    assert f"0100007F:{int(port):04X} 00000000:0000 0A" not in listening, "the server outlived its session"


def test_an_init_script_that_fails_is_shown(tmp_path: Path) -> None:
    (tmp_path / "init" / "ready.d").mkdir(parents=True)
    (tmp_path / "init" / "ready.d" / "wrong.sh").write_text("exit 5")
    done = run_project(tmp_path, "def test_it(localmaker): pass\n", LOCALMAKER_INIT_DIR=str(tmp_path / "init"))
    assert done.returncode == 1
    assert "wrong.sh FAILED: exit status 5" in done.stdout


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    done = run_project(tmp_path, "def test_it(localmaker): pass\n", LOCALMAKER_DURABILITY="hope")
    assert done.returncode == 1
    assert "LOCALMAKER_DURABILITY must be one of process, power" in done.stdout
