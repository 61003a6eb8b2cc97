"""What a tuning job may ask for: limits, and what strategies need.

Source: shapes HyperParameterTuningJobConfig and ResourceLimits; guide, "Resource limits for automatic model tuning" (2026-11).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.tuning.ranges import EPOCHS
from backends.tuning.sampler import combinations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tuning.definitions import Definition

MOST_PARALLEL = 100
MOST_JOBS, MOST_RANDOM_JOBS = 750, 10_000
MOST_RESOURCE = 20_000


def check(request: Mapping[str, Any], definitions: Sequence[Definition]) -> None:
    """Check numbers of jobs. ResourceLimitExceeded above the service's limits. Unverified: AWS's wordings."""
    config = request["HyperParameterTuningJobConfig"]
    wanted, strategy = config["ResourceLimits"], config["Strategy"]
    if strategy == "Grid":
        _check_grid(wanted, definitions)
    elif "MaxNumberOfTrainingJobs" not in wanted:
        raise errors.validation(f"MaxNumberOfTrainingJobs is required with the {strategy} strategy.")
    target = config.get("TuningJobCompletionCriteria", {}).get("TargetObjectiveMetricValue", 0.0)
    if math.isnan(target):
        raise errors.validation("TargetObjectiveMetricValue must be a number.")
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
    count = _whole_grid(definitions)
    if wanted.get("MaxNumberOfTrainingJobs", count) != count:
        raise errors.validation(
            f"MaxNumberOfTrainingJobs must be {count}, the number of combinations, with the Grid strategy, or be left out."
        )


def jobs_of(config: Mapping[str, Any], definitions: Sequence[Definition]) -> int:
    """Return how many training jobs a search has."""
    wanted = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    return int(wanted) if wanted is not None else _whole_grid(definitions)


def _whole_grid(definitions: Sequence[Definition]) -> int:
    return sum(combinations(definition["ranges"]) for definition in definitions)


def early_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the rule by which training jobs are stopped early, None for none. ValidationException for what does not go together."""
    strategy, is_early = config["Strategy"], config.get("TrainingJobEarlyStoppingType") == "Auto"
    if strategy != "Hyperband" and "HyperbandStrategyConfig" in config.get("StrategyConfig", {}):
        raise errors.validation("HyperbandStrategyConfig can be given with the Hyperband strategy only.")
    if strategy == "Hyperband" and is_early:
        raise errors.validation("TrainingJobEarlyStoppingType must be Off with the Hyperband strategy.")
    if is_early:
        return {"rule": "Median"}
    return {"rule": "Hyperband"} if strategy == "Hyperband" else None


def with_strategy(config: Mapping[str, Any], definitions: Sequence[Definition]) -> list[Definition]:
    """Return definitions with what their strategy needs to know of them: Grid's `size`, Hyperband's `rungs`."""
    if config["Strategy"] == "Grid":
        return [{**definition, "size": combinations(definition["ranges"])} for definition in definitions]
    if config["Strategy"] == "Hyperband":
        return [{**definition, "rungs": _rungs(config, definition)} for definition in definitions]
    return list(definitions)


def _rungs(config: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    """Return the ends of Hyperband's rungs. MaxResource is a static number of epochs where it is not given (shape HyperbandStrategyConfig)."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    epochs = next((definition["static"][name] for name in EPOCHS if name in definition["static"]), "")
    most = given.get("MaxResource", int(epochs) if epochs.isdecimal() else None)
    least = given.get("MinResource", 1)
    if most is None:
        raise errors.validation(
            "MaxResource parameter is not provided and could not be inferred from provided static hyperparameters of "
            "TrainingJobDefinition."
        )
    if not 1 <= least <= most <= MOST_RESOURCE:
        raise errors.validation(
            f"MinResource {least} and MaxResource {most} must be in order, from 1 to {MOST_RESOURCE}."
        )
    return {"least": least, "most": most}
