"""`kill -9` of the server in each phase of a transform job, then a restart: every object is answered once and whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.endpoints.served import Served
from tests.site import Site
from tests.transform.test_jobs import SCRIPT, Job

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = {f"{n}.csv": b"".join(b"%d,%d\n" % (n, line) for line in range(40)) for n in range(6)}
ANSWERS = {f"{n}.csv.out": b"".join(b"%.1f\n" % (n + line) for line in range(40)) for n in range(6)}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Yield a server that may be killed."""
    server = LiveServer(tmp_path_factory.mktemp("transform") / "data", {"runner": "process"})
    server.start()
    yield server
    server.end_jobs()
    server.stop()


@pytest.mark.parametrize("outputs", [-1, 0, 1, 3], ids=["accepted", "starting", "first object", "half"])
def test_a_job_outlives_the_server(live: LiveServer, account: str, outputs: int) -> None:
    site = Site(live, account, "process")
    served = Served(site)
    script = SCRIPT.replace("    lines = [", "    time.sleep(0.01)\n    lines = [")
    job = Job(site, OBJECTS, ModelName=served.model(served.container("sum", script)), BatchStrategy="SingleRecord")
    deadline = time.monotonic() + 60
    while outputs >= 0 and time.monotonic() < deadline:
        described = job.described()
        if ("TransformStartTime" in described) if outputs == 0 else len(job.outputs()) >= outputs:
            break
        time.sleep(0.01)
    live.kill()
    live.start()
    assert job.ended()["TransformJobStatus"] == "Completed"
    assert job.outputs() == ANSWERS
    site.close()
