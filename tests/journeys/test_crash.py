"""`kill -9` of the server in the middle of things, then a restart: the work carries on and nothing is lost or doubled."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import LiveServer
from tests.endpoints.served import Served, variant
from tests.site import LOG_GROUP, Site, channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = 400
# It prints numbered lines for about a second and a half, and copies what it was fed.
FILE_JOB = f"""
import pathlib, time
print("begun", flush=True)
for n in range({LINES}):
    print("line", n, flush=True)
    time.sleep(0.004)
pathlib.Path("/opt/ml/model/copy").write_bytes(pathlib.Path("/opt/ml/input/data/train/data").read_bytes())
pathlib.Path("/opt/ml/checkpoints/last").write_text("done")
"""
PIPE_JOB = f"""
import os, pathlib, time
print("begun", flush=True)
parts = []
with open("/opt/ml/input/data/train_0", "rb") as fifo:
    for n in range({LINES}):
        print("line", n, flush=True)
        parts.append(fifo.read(1000))
        time.sleep(0.004)
    parts.append(fifo.read())
pathlib.Path("/opt/ml/model/copy").write_bytes(b"".join(parts))
pathlib.Path("/opt/ml/checkpoints/last").write_text("done")
"""
DATA = random.Random(3).randbytes(1_500_000)
# What the server has done when it is killed, and how the job is fed; the random rounds below mix them.
ALIKE = pytest.mark.same_on_docker
POINTS = [
    pytest.param("", "File", marks=ALIKE),
    pytest.param("Downloading", "Pipe", marks=ALIKE),
    ("Training", "File"),
    ("Training", "Pipe"),
    pytest.param("Uploading", "File", marks=ALIKE),
]
WAIT_S = 60.0


@pytest.fixture
def crashing(tmp_path: Path, account: str, runner: str) -> Iterator[Site]:
    """Yield an account on a server of its own, which may be killed."""
    live = LiveServer(tmp_path / "data", {"runner": runner})
    live.start()
    site = Site(live, account, runner)
    yield site
    site.close()
    live.end_jobs()
    live.stop()


def begin(site: Site, mode: str) -> str:
    """Create a job that copies its data."""
    data = site.upload({"data": DATA})
    code = PIPE_JOB if mode == "Pipe" else FILE_JOB
    checkpoints = {"S3Uri": f"s3://{site.bucket}/checkpoints"}
    return site.start(code, [channel("train", data, InputMode=mode)], CheckpointConfig=checkpoints)


def reach(site: Site, name: str, secondary: str) -> None:
    """Wait until a job has got as far as a secondary status, or further."""
    deadline = time.monotonic() + WAIT_S
    while secondary and time.monotonic() < deadline:
        job = site.sagemaker.describe_training_job(TrainingJobName=name)
        if secondary in [entry["Status"] for entry in job["SecondaryStatusTransitions"]]:
            return
        time.sleep(0.002)


def crash(site: Site) -> None:
    """Kill the server and start it again on the same data directory."""
    site.live.kill()
    site.live.start()


def assert_whole(site: Site, name: str) -> None:
    """Look at everything that a finished job must have left, once each."""
    job = site.ended(name)
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), site.lines(name))
    assert site.artifact(job) == {"copy": DATA}
    assert site.read(f"s3://{site.bucket}/checkpoints/last") == b"done"
    lines = [line for line in site.lines(name) if line.startswith(("begun", "line "))]
    assert lines == ["begun", *(f"line {n}" for n in range(LINES))]
    passed = [entry["Status"] for entry in job["SecondaryStatusTransitions"] if entry["Status"] != "Pending"]
    assert passed == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert site.streams(f"{name}/", LOG_GROUP)
    expected = {
        "TrainingJob": ["InProgress", "Completed"],
        "TrainingJob.SecondaryStatus": ["Downloading", "Training", "Uploading"],
    }
    assert_events(site.live.data_dir, job["TrainingJobArn"], expected)


def assert_events(data_dir: Path, arn: str, expected: dict[str, list[str]]) -> None:
    """Every status has its event, once and in order, and every event has been delivered to whoever hears it."""
    deadline = time.monotonic() + WAIT_S
    while True:
        with sqlite3.connect(data_dir / "state.db") as database:
            rows = database.execute("SELECT kind, new FROM events WHERE arn = ? ORDER BY id", (arn,)).fetchall()
            waiting = database.execute(
                "SELECT count(*) FROM deliveries JOIN events ON events.id = event_id WHERE events.arn = ?", (arn,)
            ).fetchone()[0]
        database.close()
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert waiting == 0
    seen = {kind: [new for other, new in rows if other == kind and new != "Pending"] for kind, _ in rows}
    assert seen == expected


@pytest.mark.parametrize(("secondary", "mode"), POINTS)
def test_a_job_outlives_the_server(crashing: Site, secondary: str, mode: str) -> None:
    name = begin(crashing, mode)
    reach(crashing, name, secondary)
    crash(crashing)
    assert_whole(crashing, name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=ALIKE)])
def test_a_job_outlives_a_server_that_dies_again_and_again(crashing: Site, seed: int) -> None:
    """Killed three times at random moments of the job's life, with jobs of both modes under way."""
    chance = random.Random(seed)
    names = [begin(crashing, mode) for mode in ("File", "Pipe")]
    for _ in range(3):
        time.sleep(chance.uniform(0.0, 1.2))
        crash(crashing)
    for name in names:
        assert_whole(crashing, name)


def test_a_stop_that_was_acknowledged_is_carried_out(crashing: Site) -> None:
    name = crashing.start("import time; print('up', flush=True); time.sleep(300)")
    crashing.printed(name, "up")
    crashing.sagemaker.stop_training_job(TrainingJobName=name)
    crash(crashing)
    assert crashing.ended(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    "delay_s", [pytest.param(0.0, marks=ALIKE), 0.15, pytest.param(0.5, marks=ALIKE), pytest.param(1.0, marks=ALIKE)]
)
def test_an_endpoint_that_was_being_created_comes_up(crashing: Site, delay_s: float) -> None:
    served = Served(crashing)
    config = served.config(variant(served.model(served.container("one"))))
    crashing.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    time.sleep(delay_s)
    crash(crashing)
    served.settled("InService")
    assert served.invoke("x") == "x|one|one"
    crash(crashing)  # and one that serves is found again at once
    assert served.invoke("y") == "y|one|one"
    assert len(running_models(crashing)) == 1
    served.delete()


def test_an_update_that_was_under_way_arrives(crashing: Site) -> None:
    served = Served(crashing)
    configs = [served.config(variant(served.model(served.container(who)))) for who in ("old", "new")]
    served.deploy(configs[0])
    crashing.sagemaker.update_endpoint(EndpointName=served.name, EndpointConfigName=configs[1])
    time.sleep(0.3)
    crash(crashing)
    assert served.invoke("x") in {"x|old|old", "x|new|new"}
    assert served.settled("InService")["EndpointConfigName"] == configs[1]
    assert served.invoke("x") == "x|new|new"
    assert len(running_models(crashing)) == 1
    served.delete()


def running_models(site: Site) -> list[Any]:
    """Return the containers of endpoints that there are: their job directories."""
    return list((site.live.data_dir / "jobs").glob("endpoint-*/endpoint-*/supervisor"))
