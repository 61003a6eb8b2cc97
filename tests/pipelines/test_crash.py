"""`kill -9` of the server while an execution goes on, again and again: no step is lost and none begins twice."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import LiveServer
from tests.pipelines.pipelines import create, definition, ended, model, processing, start, steps
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS, WIDTH, KILLS, SEED = 4, 4, 3, 7


@pytest.fixture
def mortal(account: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    live = LiveServer(tmp_path_factory.mktemp("mortal-pipelines") / "data", {"runner": "process"})
    live.start()
    site = Site(live, account, "process")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


def test_a_killed_server_goes_on_with_the_execution(mortal: Site) -> None:
    """Layers of models with a job between each two: a kill comes in the midst of calls, and of jobs."""
    listed = []
    for layer in range(LAYERS):
        before = [f"J{layer - 1}"] if layer else []
        listed += [model(mortal, f"M{layer}{n}", DependsOn=before) for n in range(WIDTH)]
        listed.append(processing(mortal, f"J{layer}", "import time; time.sleep(0.3)", DependsOn=[f"M{layer}0"]))
    arn = start(mortal, create(mortal, definition(*listed)))
    pauses = random.Random(SEED)
    for _ in range(KILLS):
        done = {name for name, each in steps(mortal, arn).items() if each["StepStatus"] == "Succeeded"}
        time.sleep(pauses.uniform(0, 0.8))
        mortal.live.kill()
        mortal.live.start()
        assert done <= {name for name, each in steps(mortal, arn).items() if each["StepStatus"] == "Succeeded"}
    assert ended(mortal, arn) == "Succeeded"
    assert len(steps(mortal, arn)) == LAYERS * (WIDTH + 1)
    made = mortal.sagemaker.list_models(NameContains="pipelines-", MaxResults=100)["Models"]
    assert len(made) == LAYERS * WIDTH
    jobs = mortal.sagemaker.list_processing_jobs(NameContains="pipelines-", MaxResults=100)["ProcessingJobSummaries"]
    assert len(jobs) == LAYERS
