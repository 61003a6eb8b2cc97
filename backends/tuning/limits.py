"""What a tuning job may ask for: limits, what strategies need, and what is not built yet.

Source: shapes HyperParameterTuningJobConfig and ResourceLimits; guide, "Resource limits for automatic model tuning" (2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.tuning.sampler import combinations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tuning.definitions import Definition

MOST_PARALLEL = 100
MOST_JOBS, MOST_RANDOM_JOBS = 750, 10_000
LATER = {"Autotune": "Autotune of tuning jobs"}


def check_later(request: Mapping[str, Any]) -> None:
    """Raise 501 for what is not built: accepting it would be a pretence."""
    config = request["HyperParameterTuningJobConfig"]
    if "Autotune" in request:
        raise errors.not_implemented("Autotune of tuning jobs")
    if config["Strategy"] == "Hyperband" or "StrategyConfig" in config:
        raise errors.not_implemented("the Hyperband strategy of tuning jobs")
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise errors.not_implemented("early stopping of a tuning job's training jobs (TrainingJobEarlyStoppingType)")
    converged = config.get("TuningJobCompletionCriteria", {}).get("ConvergenceDetected", {})
    if converged.get("CompleteOnConvergence") == "Enabled":
        raise errors.not_implemented("the completion of tuning jobs on convergence (ConvergenceDetected)")
    definitions = [request.get("TrainingJobDefinition", {}), *request.get("TrainingJobDefinitions", ())]
    ranges = [config.get("ParameterRanges", {}), *(each.get("HyperParameterRanges", {}) for each in definitions)]
    if any(each.get("AutoParameters") for each in ranges):
        raise errors.not_implemented("ranges that the tuning job chooses itself (AutoParameters)")


def check(request: Mapping[str, Any], definitions: Sequence[Definition]) -> None:
    """Check numbers of jobs. ResourceLimitExceeded above the service's limits. Unverified: AWS's wordings."""
    config = request["HyperParameterTuningJobConfig"]
    wanted, strategy = config["ResourceLimits"], config["Strategy"]
    if strategy == "Grid":
        _check_grid(wanted, definitions)
    elif "MaxNumberOfTrainingJobs" not in wanted:
        raise errors.validation(f"MaxNumberOfTrainingJobs is required with the {strategy} strategy.")
    count, parallel = jobs_of(config, definitions), wanted["MaxParallelTrainingJobs"]
    most = MOST_RANDOM_JOBS if strategy == "Random" else MOST_JOBS
    for what, number, limit in (("training jobs", count, most), ("parallel training jobs", parallel, MOST_PARALLEL)):
        if number > limit:
            raise errors.AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit 'Maximum number of {what} per tuning job' is {limit}, with a request delta of "
                f"{number}. Please contact AWS support to request an increase for this limit.",
            )
    if parallel > count:
        raise errors.validation(
            f"MaxParallelTrainingJobs {parallel} must not be greater than MaxNumberOfTrainingJobs {count}."
        )


def _check_grid(wanted: Mapping[str, Any], definitions: Sequence[Definition]) -> None:
    if any(each["kind"] != "Categorical" for definition in definitions for each in definition["ranges"]):
        raise errors.validation("The Grid strategy supports categorical hyperparameter ranges only.")
    if len(definitions) > 1:
        raise errors.not_implemented("the Grid strategy with several training job definitions")
    count = combinations(definitions[0]["ranges"])
    if wanted.get("MaxNumberOfTrainingJobs", count) != count:
        raise errors.validation(
            f"MaxNumberOfTrainingJobs must be {count}, the number of combinations, with the Grid strategy, or be left out."
        )


def jobs_of(config: Mapping[str, Any], definitions: Sequence[Definition]) -> int:
    """Return how many training jobs a search has."""
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    return int(wanted) if wanted is not None else combinations(definitions[0]["ranges"])
