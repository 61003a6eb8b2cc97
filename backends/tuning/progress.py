"""What a search has come to: its best training job, how it improves, and when that is enough. Pure.

Source: shapes BestObjectiveNotImproving, ConvergenceDetected and HyperParameterTuningJobCompletionDetails: a training job improves the
search if its objective is better by more than 1 %. When a search has converged the service does not say ("criteria developed over a
wide range of diverse benchmarking tests"); here it has after as many objectives without such an improvement as it searches
hyperparameters twice, and at least `LEAST_CONVERGING`, which are the random trials a Bayesian search begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.tuning.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.commands import State

IMPROVEMENT = 0.01
LEAST_CONVERGING = 10
MOST_FUTILE = 5
"""After so many trials without any success the search fails (seen in AWS's own reason, `No training job succeeded after 5 attempts`)."""
NONE_SUCCEEDED = (
    "No training job succeeded after {count} attempts. For additional details, please take a look at the training job failures by "
    "listing training jobs for the hyperparameter tuning job."
)
ALL_FAILED = "All training jobs failed. Please take a look at the training jobs failures to get more details."
NO_OBJECTIVE = (
    "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is emitting the "
    "objective metric as defined by the regular expression provided."
)
COUNTERS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")


def shown(state: State, at: float) -> dict[str, Any]:
    """Return the members of Describe that follow from the state."""
    running = len(state["running"])
    ended = sum(state["counters"].values()) - state["counters"]["RetryableError"]
    converged = state.get("converged")
    members = {
        "TrainingJobStatusCounters": {**state["counters"], "InProgress": running},
        "ObjectiveStatusCounters": {
            "Succeeded": state["objectives"], "Pending": running, "Failed": ended - state["objectives"]
        },
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": state["stale"],
            **({} if converged is None else {"ConvergenceDetectedTime": converged}),
        },
        "ConsumedResources": {"RuntimeInSeconds": max(0, int(at - state["created"]))},
    }  # fmt: skip
    if state["best"] is not None:
        members["BestTrainingJob"] = state["best"]["summary"]
    overall = _overall_best(state)
    return members if overall is None else {**members, "OverallBestTrainingJob": overall}


def _overall_best(state: State) -> dict[str, Any] | None:
    """Return the best training job of this search and of those that it began from with identical data, None for other searches."""
    if "overall" not in state:
        return None
    earlier, own = state["overall"], state["best"]
    if own is None or (earlier and not _is_better(state, own["value"], earlier["value"])):
        return dict(earlier["summary"]) if earlier else None
    return {**own["summary"], "TuningJobName": state["name"]}


def measured(state: State, value: float, document: Mapping[str, Any], at: float) -> State:
    """Count an objective, keep the best, and note the time at which the search has converged."""
    state = {**state, "objectives": state["objectives"] + 1}
    best = state["best"]
    since = best["value"] if best is not None else None
    since = state.get("improved", since)
    if _improves(state, value, since):
        state |= {"stale": 0, "improved": value}
    else:
        state |= {"stale": state["stale"] + 1}
    if best is None or _is_better(state, value, best["value"]):
        state |= {"best": {"value": value, "summary": summary_of(state["definitions"], document)}}
    if state.get("converged") is None and state["stale"] >= _patience(state):
        state |= {"converged": at}
    return state


def _is_better(state: State, value: float, than: float) -> bool:
    """Return whether an objective is better than another; of several definitions all have objectives of one type."""
    return value > than if state["definitions"][0]["type"] == "Maximize" else value < than


def _improves(state: State, value: float, since: float | None) -> bool:
    """Return whether an objective is better, by more than 1 %, than the last one that was."""
    if since is None:
        return True
    return _is_better(state, value, since) and abs(value - since) > IMPROVEMENT * abs(since)


def _patience(state: State) -> int:
    searched = max(len(definition["ranges"]) for definition in state["definitions"])
    return max(LEAST_CONVERGING, 2 * searched)


def verdict(state: State, value: float | None) -> tuple[str, str]:
    """Return the status and the reason with which the search ends after a training job, empty while it goes on."""
    target, patience = state["target"], state["patience"]
    if value is not None and target is not None and not _is_better(state, target, value):
        return "Completed", ""
    if patience is not None and state["stale"] >= patience:
        return "Completed", ""
    if state.get("converges") and state.get("converged") is not None:
        return "Completed", ""
    if not state["objectives"] and ended(state) >= MOST_FUTILE:
        return "Failed", failure(state)
    return "", ""


def ended(state: State) -> int:
    """Return how many training jobs have ended."""
    return sum(state["counters"][name] for name in ("Completed", "NonRetryableError", "Stopped"))


def failure(state: State) -> str:
    """Return why a search without any objective failed. Unverified: which of AWS's reasons comes when."""
    count = ended(state)
    if state["counters"]["Completed"]:
        return NO_OBJECTIVE.format(count=count)
    return NONE_SUCCEEDED.format(count=count) if count >= MOST_FUTILE else ALL_FAILED
