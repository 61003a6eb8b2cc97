"""Docker itself: a user's image is pushed, outlives a restart, trains by either form of its URI, and serves."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.conftest import LiveServer
from tests.engine import docker_reason
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

# The machine's own shell and its libraries: small enough to be pushed in no time, and it is there without a registry.
DOCKERFILE = """
FROM scratch
COPY root /
COPY program.sh /program.sh
ENTRYPOINT ["/bin/sh", "/program.sh"]
"""
PROGRAM = """
echo "{word} was asked to $1"
echo "{word}" > /opt/ml/model/word.txt
"""
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(bool(docker_reason()), reason=docker_reason() or "there is an engine"),
]


def docker(*words: str, **options: Any) -> str:
    """Run the docker command; fails with what it printed."""
    ran: Any = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120, check=False, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return str(ran.stdout)


def build(folder: Path, uri: str, word: str) -> None:
    """Build an image whose program knows a word."""
    shell = Path("/bin/sh").resolve()
    linked = subprocess.run(["ldd", str(shell)], check=True, capture_output=True, text=True).stdout
    for path in (Path("/bin/sh"), *(Path(w) for line in linked.splitlines() for w in line.split() if w[0] == "/")):
        target = folder / "root" / str(path).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "program.sh").write_text(PROGRAM.format(word=word))
    docker("build", "-q", "-t", uri, str(folder))


@pytest.fixture
def site(tmp_path: Path, account: str) -> Iterator[Site]:
    """Yield an account on a server that may use Docker; what its registry gave to the engine is removed."""
    live = LiveServer(tmp_path / "data", {"runner": "auto"})
    live.start()
    made = Site(live, account, "docker")
    yield made
    live.end_jobs()
    made.close()
    live.stop()
    ours = docker("images", "--no-trunc", "--format", "{{.Repository}} {{.ID}}").splitlines()
    for image in {line.split()[1] for line in ours if f"/{account}.us-east-1/" in line}:
        docker("rmi", "-f", image)


def train(site: Site, image: str) -> dict[str, Any]:
    """Run a job of an image to its end."""
    request = site.request(AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"})
    site.sagemaker.create_training_job(**request)
    return site.ended(request["TrainingJobName"])


def test_a_pushed_image_trains_by_either_uri(site: Site, tmp_path: Path, account: str) -> None:
    # Named like an official one: a user's own repository comes first.
    made = site.client("ecr").create_repository(repositoryName="sagemaker-scikit-learn")["repository"]
    uri = f"{made['repositoryUri']}:1"
    build(tmp_path / "image", uri, "first")
    docker("push", uri)
    docker("rmi", "-f", uri)
    site.live.kill()
    site.live.start()  # at another port: the old URI still says what is meant
    job = train(site, uri)
    assert job["TrainingJobStatus"] == "Completed", (job, site.lines(job["TrainingJobName"]))
    assert (job["AlgorithmSpecification"]["TrainingImage"], site.artifact(job)) == (uri, {"word.txt": b"first\n"})
    assert "first was asked to train" in site.lines(job["TrainingJobName"])
    # The tag moves: the next job has the new image, though the engine has the old one.
    [made] = site.client("ecr").describe_repositories()["repositories"]
    build(tmp_path / "image", f"{made['repositoryUri']}:1", "second")
    docker("push", f"{made['repositoryUri']}:1")
    amazon = f"{account}.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn"
    job = train(site, f"{amazon}:1")
    assert site.artifact(job) == {"word.txt": b"second\n"}, job
    job = train(site, f"{amazon}:none")
    assert job["FailureReason"].endswith("is not in this server's registry: Requested image not found")
    job = train(site, uri.replace("scikit", "none"))
    assert "The repository with name 'sagemaker-none-learn' does not exist" in job["FailureReason"]


def test_under_enforce_docker_logs_in(tmp_path: Path) -> None:
    live = LiveServer(tmp_path / "data", {"auth": "enforce", "runner": "docker"})
    live.start()
    try:
        _push_under_enforce(live, tmp_path)
    finally:
        live.stop()


def _push_under_enforce(live: LiveServer, folder: Path) -> None:
    keys = dict(line.split(" = ") for line in (live.data_dir / "credentials").read_text().splitlines() if " = " in line)
    given = {name: keys[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    ecr = boto3.client("ecr", "us-east-1", endpoint_url=live.url, **given)
    uri = ecr.create_repository(repositoryName="strict")["repository"]["repositoryUri"]
    build(folder / "image", uri, "strict")
    configured = ("--config", str(folder / "docker"))
    refused = subprocess.run(["docker", *configured, "push", uri], capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "no basic auth credentials" in refused.stderr
    assert ecr.list_images(repositoryName="strict")["imageIds"] == []
    [data] = ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    docker(*configured, "login", "-u", user, "--password-stdin", data["proxyEndpoint"], input=password)
    docker(*configured, "push", uri)
    docker("rmi", "-f", uri)
    [image] = ecr.describe_images(repositoryName="strict")["imageDetails"]
    assert image["imageTags"] == ["latest"]
    sagemaker = boto3.client("sagemaker", "us-east-1", endpoint_url=live.url, **given)
    config = {
        "AlgorithmSpecification": {"TrainingImage": uri, "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/SageMakerExecutionRole",
        "OutputDataConfig": {"S3OutputPath": "s3://strict/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    boto3.client("s3", "us-east-1", endpoint_url=live.url, **given).create_bucket(Bucket="strict")
    sagemaker.create_training_job(TrainingJobName="strict", **config)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="strict", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    job = sagemaker.describe_training_job(TrainingJobName="strict")
    assert job["TrainingJobStatus"] == "Completed", json.dumps(job, default=str)
    docker("rmi", "-f", f"{uri}@{image['imageDigest']}")
