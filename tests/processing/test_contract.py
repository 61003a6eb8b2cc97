"""What a processing container finds and what becomes of what it leaves, on every runner (processing contract, section 1)."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine import LOCAL_BASE, docker_reason, has_image
from tests.processing.processor import (
    CODE,
    LOG_GROUP,
    RUN_SCRIPT,
    cluster,
    ended,
    left,
    request,
    run,
    s3_input,
    s3_output,
    start,
)  # fmt: skip
from tests.site import SCIKIT_LEARN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.site import Site

SHOW = """
import json, os, pathlib, sys
ml = pathlib.Path("/opt/ml")
seen = {
    "config": {p.name: json.loads(p.read_text()) for p in (ml / "config").iterdir()},
    "env": dict(os.environ),
    "argv": sys.argv[1:],
    "files": sorted(str(p.relative_to(ml / "processing")) for p in (ml / "processing").rglob("*") if p.is_file()),
}
out = ml / "processing/out"
(out / "seen.json").write_text(json.dumps(seen))
(out / "sub").mkdir()
(out / "sub/x.csv").write_text("1")
(out / "link").symlink_to("/etc/passwd")
(out / "folder").symlink_to("/etc")
(ml / "output/message").write_text("all good \\u00fc")
print("hello")
print("to stderr", file=sys.stderr)
"""


def test_a_job_finds_what_the_contract_says_and_its_outputs_are_uploaded(site: Site) -> None:
    data = site.upload({"a.csv": "1,2\n", "sub/b.csv": "3"})
    inputs = [s3_input("data", data), s3_input("one", f"{data}sub/b.csv", "/opt/ml/processing/input//one/")]
    job = run(site, SHOW, inputs, arguments=["--first", "two words"], Environment={"MINE": "1"})
    name = job["ProcessingJobName"]
    outputs = left(site, name)
    assert set(outputs) == {"seen.json", "sub/x.csv"}
    seen = json.loads(outputs["seen.json"])
    assert seen["files"] == ["data/a.csv", "data/sub/b.csv", "input/code/job.py", "input/one/b.csv"]
    assert seen["argv"] == ["--first", "two words"]
    env = seen["env"]
    assert (env["MINE"], env["PROCESSING_JOB_ARN"]) == ("1", job["ProcessingJobArn"])
    config = seen["config"]["processingjobconfig.json"]
    assert config["AppSpecification"] == {
        "ImageUri": SCIKIT_LEARN,
        "ContainerEntrypoint": RUN_SCRIPT,
        "ContainerArguments": ["--first", "two words"],
    }
    assert config["ProcessingInputs"][1] == {
        "InputName": "data",
        "AppManaged": False,
        "S3Input": {
            "LocalPath": "/opt/ml/processing/data", "S3Uri": data, "S3DataDistributionType": "FullyReplicated",
            "S3DataType": "S3Prefix", "S3InputMode": "File", "S3CompressionType": "None",
            "S3DownloadMode": "StartOfJob",
        },
    }  # fmt: skip
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert config["ProcessingOutputConfig"]["KmsKeyId"] is None
    assert (config["ProcessingJobName"], config["Environment"]) == (name, {"MINE": "1"})
    cluster_seen = seen["config"]["resourceconfig.json"]
    assert (cluster_seen["current_host"], cluster_seen["hosts"]) == ("algo-1", ["algo-1"])
    assert job["ExitMessage"] == "all good ü"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"] <= job["LastModifiedTime"]
    streams = site.streams(f"{name}/", LOG_GROUP)
    assert len(streams) == 1
    assert re.fullmatch(rf"{name}/algo-1-\d+", streams[0])
    assert {"hello", "to stderr"} <= set(site.lines(name, group=LOG_GROUP))


PIPES = """
import pathlib, time
def read(path):
    while not path.exists():  # the next epoch's appears when the one before is finished
        time.sleep(0.01)
    with open(path, "rb") as fifo:
        return fifo.read()
base = pathlib.Path("/opt/ml/processing")
first, second = read(base / "deep/feed_0"), read(base / "deep/feed_1")
assert first == second, (first, second)
(base / "out/feed").write_bytes(first)
"""


def test_pipe_mode_unpacks_gzip_below_the_local_path(site: Site) -> None:
    data = site.upload({"1.gz": gzip.compress(b"one "), "2.gz": gzip.compress(b"two")})
    feed = s3_input("feed", data, "/opt/ml/processing/deep/feed", S3InputMode="Pipe", S3CompressionType="Gzip")
    job = run(site, PIPES, [feed])
    assert left(site, job["ProcessingJobName"]) == {"feed": b"one two"}


HOSTS = """
import json, pathlib
ml = pathlib.Path("/opt/ml")
me = json.loads((ml / "config/resourceconfig.json").read_text())["current_host"]
for kind in ("sharded", "listed"):
    names = sorted(p.name for p in (ml / "processing" / kind).iterdir())
    (ml / f"processing/out/{kind}-{me}").write_text(" ".join(names))
(ml / "output/message").write_text(f"<{me}>")
print(me)
"""


def test_hosts_share_inputs_and_put_their_outputs_together(site: Site) -> None:
    data = site.upload({"a": "1", "b": "2", "c": "3"})
    manifest = site.upload({"m.json": json.dumps([{"prefix": data}, "a", "c"])})
    inputs = [
        s3_input("sharded", data, S3DataDistributionType="ShardedByS3Key"),
        s3_input("listed", f"{manifest}m.json", S3DataType="ManifestFile"),
    ]
    job = run(site, HOSTS, inputs, ProcessingResources=cluster(2))
    outputs = left(site, job["ProcessingJobName"])
    assert (outputs["sharded-algo-1"], outputs["sharded-algo-2"]) == (b"a c", b"b")
    assert (outputs["listed-algo-1"], outputs["listed-algo-2"]) == (b"a c", b"a c")
    assert job["ExitMessage"] == "<algo-1><algo-2>"
    assert len(site.streams(f"{job['ProcessingJobName']}/", LOG_GROUP)) == 2


CONTINUOUS = """
import pathlib, time
base = pathlib.Path("/opt/ml/processing")
(base / "first/sub").mkdir()
(base / "first/sub/a").write_text("early")
(base / "second/b").write_text("other")
time.sleep(3)
(base / "first/sub/a").unlink()
(base / "first/late").write_text("late")
"""


@pytest.mark.same_on_docker
def test_continuous_outputs_are_mirrored_while_the_job_runs(site: Site) -> None:
    base = f"s3://{site.bucket}/continuous"
    outputs = [s3_output(name, f"{base}/{name}", "Continuous") for name in ("first", "second")]
    name = start(site, CONTINUOUS, (), outputs)
    seen: set[str] = set()
    job: dict[str, Any] = {"ProcessingJobStatus": "InProgress"}
    while job["ProcessingJobStatus"] == "InProgress":
        seen |= set(site.keys(f"{base}/"))
        job = site.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert {"first/sub/a", "second/b"} <= seen
    assert sorted(site.keys(f"{base}/")) == ["first/late", "second/b"]


@pytest.mark.same_on_docker
def test_an_isolated_job_has_neither_network_nor_credentials(site: Site) -> None:
    code = """
import os, socket
print(sorted(name for name in os.environ if name.startswith("AWS_") and name not in ("AWS_REGION", "AWS_DEFAULT_REGION")))
host, port = os.environ["SERVER"].split(":")
try:
    socket.create_connection((host, int(port)), timeout=2)
    print("reached")
except OSError:
    print("unreachable")
"""
    server = site.live.url.removeprefix("http://")
    job = run(site, code, NetworkConfig={"EnableNetworkIsolation": True}, Environment={"SERVER": server})
    lines = site.lines(job["ProcessingJobName"], group=LOG_GROUP)
    assert "unreachable" in lines
    assert "[]" in lines


@pytest.mark.parametrize(
    ("entrypoint", "arguments", "said"),
    [
        (["/bin/sh", "-c"], ["echo one two > /opt/ml/processing/out/said"], "one two\n"),
        (None, ["sh", "-c", "echo by arguments > /opt/ml/processing/out/said"], "by arguments\n"),
    ],
)
def test_a_recipe_runs_the_entrypoint_with_the_arguments(
    local: Site, entrypoint: Any, arguments: Any, said: str
) -> None:
    application = {"ImageUri": SCIKIT_LEARN, "ContainerArguments": arguments}
    application |= {"ContainerEntrypoint": entrypoint} if entrypoint else {}
    made = request(local, AppSpecification=application)
    name = made["ProcessingJobName"]
    outputs = {"Outputs": [s3_output("out", f"s3://{local.bucket}/out/{name}")]}
    local.sagemaker.create_processing_job(**made, ProcessingOutputConfig=outputs)
    assert ended(local, name)["ProcessingJobStatus"] == "Completed"
    assert left(local, name) == {"said": said.encode()}
    assert CODE.startswith("/opt/ml/processing/")


BASE = os.environ.get("LOCALMAKER_BASE_IMAGE", LOCAL_BASE)
DOCKERFILE = f"""
FROM {BASE}
ENTRYPOINT ["/bin/sh", "-c", "echo image $0 $@ > /opt/ml/processing/out/said"]
CMD ["from", "cmd"]
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build an image that says what it was run with."""
    if docker_reason() or not has_image(BASE):
        pytest.skip(docker_reason() or f"the image {BASE} is not here")
    folder: Path = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    name = f"localmaker-test-{uuid.uuid4().hex[:8]}:1"
    subprocess.run(["docker", "build", "-q", "-t", name, str(folder)], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], check=False, capture_output=True)


@pytest.mark.parametrize("runner", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True)
def test_an_image_runs_as_docker_runs_it(site: Site, image: str) -> None:
    echo = ["/bin/sh", "-c", "echo mine $0 $@ > /opt/ml/processing/out/said"]
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({}, b"image from cmd\n"),
        ({"ContainerArguments": ["an", "argument"]}, b"image an argument\n"),
        ({"ContainerEntrypoint": echo}, b"mine /bin/sh\n"),
        ({"ContainerEntrypoint": echo, "ContainerArguments": ["a", "b"]}, b"mine a b\n"),
    ]
    names = []
    for given, _ in cases:
        made = request(site, AppSpecification={"ImageUri": image, **given})
        names.append(made["ProcessingJobName"])
        outputs = {"Outputs": [s3_output("out", f"s3://{site.bucket}/out/{names[-1]}")]}
        site.sagemaker.create_processing_job(**made, ProcessingOutputConfig=outputs)
    for name, (_, said) in zip(names, cases, strict=True):
        assert ended(site, name)["ProcessingJobStatus"] == "Completed", site.lines(name, group=LOG_GROUP)
        assert left(site, name) == {"said": said}
