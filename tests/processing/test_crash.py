"""`kill -9` of the server in each phase of a processing job, then a restart: nothing is lost or doubled."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.journeys.test_crash import assert_events, crash
from tests.processing.processor import LOG_GROUP, ended, left, s3_input, s3_output, start
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = 150
DATA = random.Random(5).randbytes(1_000_000)
COPY = f"""
import pathlib, time
base = pathlib.Path("/opt/ml/processing")
print("begun", flush=True)
if (base / "data").is_dir():
    found = (base / "data/data").read_bytes()
else:
    with open(base / "data_0", "rb") as fifo:
        found = fifo.read()
(base / "live/early").write_text("early")
for n in range({LINES}):
    print("line", n, flush=True)
    (base / f"out/{{n:03}}").write_text(str(n))
    time.sleep(0.005)
(base / "out/copy").write_bytes(found)
(base / "live/late").write_text("late")
pathlib.Path("/opt/ml/output/message").write_text("done")
"""
ALIKE = pytest.mark.same_on_docker
POINTS = [
    pytest.param("accepted", "File", marks=ALIKE),
    pytest.param("preparing", "Pipe", marks=ALIKE),
    ("running", "File"),
    pytest.param("running", "Pipe", marks=ALIKE),
    pytest.param("collecting", "File", marks=ALIKE),
]


@pytest.fixture(scope="module")
def mortal(runner: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server of each runner that may be killed: it is started again on the same data."""
    live = LiveServer(tmp_path_factory.mktemp(f"mortal-{runner}") / "data", {"runner": runner})
    live.start()
    yield live
    live.end_jobs()
    live.stop()


@pytest.fixture
def crashing(mortal: LiveServer, account: str, runner: str) -> Iterator[Site]:
    """Yield an account on that server."""
    site = Site(mortal, account, runner)
    yield site
    site.close()


def has_reached(site: Site, name: str, point: str) -> bool:
    """Return whether a job has got so far."""
    if point == "preparing":
        return "ProcessingStartTime" in site.sagemaker.describe_processing_job(ProcessingJobName=name)
    if point == "running":
        return "line 20" in site.lines(name, group=LOG_GROUP)
    return point == "accepted" or bool(site.keys(f"s3://{site.bucket}/out/{name}/"))


@pytest.mark.parametrize(("point", "mode"), POINTS)
def test_a_processing_job_outlives_the_server(crashing: Site, point: str, mode: str) -> None:
    site = crashing
    data = s3_input("data", site.upload({"data": DATA}), S3InputMode=mode)
    name = start(site, COPY, [data], [s3_output("live", f"s3://{site.bucket}/live", "Continuous")])
    while not has_reached(site, name, point):
        time.sleep(0.002)
    crash(site)
    job = ended(site, name)
    lines = site.lines(name, group=LOG_GROUP)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "done"), (job, lines[-20:])
    outputs = left(site, name)
    assert outputs.pop("copy") == DATA
    assert outputs == {f"{n:03}": str(n).encode() for n in range(LINES)}
    assert sorted(site.keys(f"s3://{site.bucket}/live/")) == ["early", "late"]
    printed = [line for line in lines if line.startswith(("begun", "line "))]
    assert printed == ["begun", *(f"line {n}" for n in range(LINES))]
    assert_events(site.live.data_dir, job["ProcessingJobArn"], {"ProcessingJob": ["InProgress", "Completed"]})


@ALIKE
def test_a_stop_that_was_acknowledged_is_carried_out_after_a_crash(crashing: Site) -> None:
    name = start(crashing, "import time\nprint('line 20', flush=True)\ntime.sleep(300)")
    while not has_reached(crashing, name, "running"):
        time.sleep(0.02)
    crashing.sagemaker.stop_processing_job(ProcessingJobName=name)
    crash(crashing)
    assert ended(crashing, name)["ProcessingJobStatus"] == "Stopped"
