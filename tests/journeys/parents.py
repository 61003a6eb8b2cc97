"""What the campaign's killed server has under way besides: transform jobs, one for each phase that it is killed in, and a search."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.endpoints.served import Served
from tests.transform.test_jobs import SCRIPT, Job
from tests.tuning import searches

if TYPE_CHECKING:
    from tests.site import Site

OBJECTS = {f"{n}.csv": b"".join(b"%d,%d\n" % (n, line) for line in range(40)) for n in range(6)}
ANSWERS = {f"{n}.csv.out": b"".join(b"%.1f\n" % (n + line) for line in range(40)) for n in range(6)}
SLOW = SCRIPT.replace("    lines = [", "    time.sleep(0.01)\n    lines = [")
PHASES = {"accepted": -1, "starting": 0, "first object": 1, "half": 3}
"""Of a transform job: how many outputs there are; 0: it has begun."""
PHASE_S = 60
TRIALS = 6


@dataclass
class Parents:
    """See the module."""

    site: Site
    scored: list[Job] = field(default_factory=list)

    @cached_property
    def model(self) -> str:
        """A model that takes 10 ms a line."""
        served = Served(self.site)
        return served.model(served.container("sum", SLOW))

    @cached_property
    def search(self) -> str:
        """A search of XGBoost's own algorithm, whose trials need no server once they run."""
        configured = searches.config("Bayesian", jobs=TRIALS, parallel=2, **searches.BUILT_IN)
        return searches.begin(self.site, configured, searches.built_in(self.site))

    def reach(self, phase: str) -> None:
        """Begin a transform job, and wait until it is in a phase."""
        job, outputs = Job(self.site, OBJECTS, ModelName=self.model, BatchStrategy="SingleRecord"), PHASES[phase]
        self.scored.append(job)
        deadline = time.monotonic() + PHASE_S
        while outputs >= 0:
            done = self.site.keys(job.output) if outputs else ()
            reached = len(done) >= outputs if outputs else "TransformStartTime" in job.described()
            if reached:
                return
            assert time.monotonic() < deadline, (phase, job.described())
            time.sleep(0.05)

    def trials_done(self) -> int:
        """Return how many trials the search has."""
        done: int = searches.described(self.site, self.search)["TrainingJobStatusCounters"]["Completed"]
        return done

    def assert_all_there(self) -> None:
        """Check that every object is answered once and whole, and that no finished trial is lost and none was begun twice."""
        for job in self.scored:
            assert job.ended()["TransformJobStatus"] == "Completed"
            assert job.outputs() == ANSWERS
        search: dict[str, Any] = searches.ended(self.site, self.search)
        listed = searches.trials(self.site, self.search)
        assert [int(each["TrainingJobName"].split("-")[2]) for each in listed] == list(range(1, TRIALS + 1))
        assert search["TrainingJobStatusCounters"]["Completed"] == TRIALS, listed
        assert search["ObjectiveStatusCounters"]["Succeeded"] == TRIALS
        made = self.site.sagemaker.list_training_jobs(NameContains=self.search, MaxResults=100)["TrainingJobSummaries"]
        assert len(made) == TRIALS
