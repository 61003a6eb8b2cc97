"""`kill -9` of the server while a search goes on, again and again: no finished trial is lost and none is begun twice."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.site import Site
from tests.tuning.searches import BUILT_IN, begin, built_in, config, described, ended, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS, KILLS, SEED = 6, 3, 2


@pytest.fixture
def mortal(account: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    live = LiveServer(tmp_path_factory.mktemp("mortal-tuning") / "data", {"runner": "process"})
    live.start()
    site = Site(live, account, "process")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


def test_a_killed_server_goes_on_with_the_search(mortal: Site) -> None:
    name = begin(mortal, config("Bayesian", jobs=JOBS, parallel=2, **BUILT_IN), built_in(mortal))
    pauses = random.Random(SEED)
    for kill in range(KILLS):
        counters = described(mortal, name)["TrainingJobStatusCounters"]
        time.sleep(pauses.uniform(0, 1.0))
        mortal.live.kill()
        mortal.live.start()
        assert described(mortal, name)["TrainingJobStatusCounters"]["Completed"] >= counters["Completed"], kill
    job = ended(mortal, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    listed = trials(mortal, name)
    assert [int(each["TrainingJobName"].split("-")[2]) for each in listed] == list(range(1, JOBS + 1))
    assert job["TrainingJobStatusCounters"]["Completed"] == JOBS, [
        (e["TrainingJobStatus"], e.get("FailureReason"), e["ObjectiveStatus"]) for e in listed
    ]
    assert job["ObjectiveStatusCounters"]["Succeeded"] == JOBS
    made = mortal.sagemaker.list_training_jobs(NameContains=name, MaxResults=100)["TrainingJobSummaries"]
    assert len(made) == JOBS
