"""Autotune: what a tuning job chooses itself where its request leaves it open.

The guide and the API name what Autotune chooses (shape Autotune) and say nothing of how; the rules here are this project's. Strategy
and MaxParallelTrainingJobs are required members of the request, so they are never open.

- Ranges. Without any, all that the algorithm names as tunable: of an AlgorithmName the hyperparameters that are IsTunable with a
  Range, of the built-in XGBoost the recommended ranges of the guide ("Tune an XGBoost Model"). An AutoParameter of such an algorithm
  has the algorithm's range, widened to its ValueHint, or else, and for all other algorithms, one around its ValueHint (`around`).
  One that has no range (not tunable, text, a flag, zero, a seed, what the SDKs add) stays static with its ValueHint.
- MaxNumberOfTrainingJobs: ten for each searched hyperparameter, as many as there are combinations for Grid.
- MaxRuntimeInSeconds: as long as so many training jobs take if each runs as long as its StoppingCondition lets it, at most 30 days.
- TrainingJobEarlyStoppingType: Auto, but Off with Hyperband, which stops them itself.
- RetryStrategy: three attempts. CompleteOnConvergence: Enabled.

What was chosen is what Describe shows. Unverified: the service's own choices, and whether it shows them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.jobs import images
from backends.tuning.ranges import EPOCHS, MOST_SEARCHED, ranges_of
from backends.tuning.sampler import combinations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.context import Context

Entry = tuple[str, dict[str, Any]]
"""A range: the list of ParameterRanges that it belongs to, and what stands there."""
INTEGER, CONTINUOUS, CATEGORICAL = "IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges"
JOBS_EACH, MOST_JOBS = 10, 750
LEAST_RUNTIME_S, MOST_RUNTIME_S = 120, 30 * 24 * 3600
DEFAULT_RUNTIME_S = 24 * 3600
"""Shape StoppingCondition: MaxRuntimeInSeconds where it is not given."""
ATTEMPTS = 3
INTEGER_FACTOR, CONTINUOUS_FACTOR = 3, 10
SEEDS = ("seed", "random_seed", "random_state")
_WHOLE = re.compile(r"[+-]?\d+")
_XGBOOST = {
    INTEGER: {"max_delta_step": ("0", "10"), "max_depth": ("0", "10"), "num_round": ("1", "4000")},
    CONTINUOUS: {
        "alpha": ("0", "1000"), "colsample_bylevel": ("0.1", "1"), "colsample_bynode": ("0.1", "1"), "colsample_bytree": ("0.5", "1"),
        "eta": ("0.1", "0.5"), "gamma": ("0", "5"), "lambda": ("0", "1000"), "min_child_weight": ("0", "120"), "subsample": ("0.5", "1"),
    },
}  # fmt: skip


def filled(cx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with what Autotune chooses; as it is without Autotune. ValidationException for AutoParameters without it."""
    if "Autotune" not in request:
        if any(ranges.get("AutoParameters") for ranges in _all_ranges(request)):  # Unverified: AWS's wording
            raise errors.validation("AutoParameters can be given with Autotune only.")
        return dict(request)
    filled_in = dict(request)
    config = dict(request["HyperParameterTuningJobConfig"])
    strategy = config["Strategy"]
    if "TrainingJobDefinition" in request:
        own = request["TrainingJobDefinition"]
        has_own = "HyperParameterRanges" in own
        given = own["HyperParameterRanges"] if has_own else config.get("ParameterRanges", {})
        definition, ranges = _with_ranges(cx, own, given, strategy)
        filled_in["TrainingJobDefinition"] = {**definition, **({"HyperParameterRanges": ranges} if has_own else {})}
        config |= {} if has_own else {"ParameterRanges": ranges}
    if "TrainingJobDefinitions" in request:
        made = [
            _with_ranges(cx, own, own.get("HyperParameterRanges", {}), strategy)
            for own in request["TrainingJobDefinitions"]
        ]
        filled_in["TrainingJobDefinitions"] = [{**own, "HyperParameterRanges": ranges} for own, ranges in made]
    filled_in["HyperParameterTuningJobConfig"] = config
    return {**filled_in, "HyperParameterTuningJobConfig": _with_limits(filled_in, config)}


def _all_ranges(request: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield request["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    for definition in (request.get("TrainingJobDefinition", {}), *request.get("TrainingJobDefinitions", ())):
        yield definition.get("HyperParameterRanges", {})


def _with_limits(request: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with limits and criteria."""
    limits = config["ResourceLimits"]
    parallel = limits["MaxParallelTrainingJobs"]
    searched = [ranges for each in _all_ranges(request) if (ranges := ranges_of(each))]
    is_grid = config["Strategy"] == "Grid" and all(each["kind"] == "Categorical" for one in searched for each in one)
    count = sum(map(combinations, searched)) if is_grid else min(JOBS_EACH * sum(map(len, searched)), MOST_JOBS)
    jobs = limits.get("MaxNumberOfTrainingJobs", max(1, count if is_grid else max(count, parallel)))
    longest = max(
        each.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
        for each in (request.get("TrainingJobDefinition", {}), *request.get("TrainingJobDefinitions", ()))
    )
    runtime = min(max(longest * math.ceil(jobs / parallel), LEAST_RUNTIME_S), MOST_RUNTIME_S)
    criteria = config.get("TuningJobCompletionCriteria", {})
    return {
        "TrainingJobEarlyStoppingType": "Off" if config["Strategy"] == "Hyperband" else "Auto",
        **config,
        "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxRuntimeInSeconds": runtime, **limits},
        "TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}, **criteria},
    }


def _with_ranges(
    cx: Context, definition: Mapping[str, Any], given: Mapping[str, Any], strategy: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a definition and its ranges: each AutoParameter is in one of them."""
    tunable = _tunable(cx, definition)
    static = dict(definition.get("StaticHyperParameters", {}))
    ranges = {member: list(given.get(member, ())) for member in (INTEGER, CONTINUOUS, CATEGORICAL)}
    left = MOST_SEARCHED - sum(map(len, ranges.values()))
    autos = given.get("AutoParameters", ())
    chosen: list[Entry] = []
    if not autos and left == MOST_SEARCHED:
        chosen = [entry for name, entry in (tunable or {}).items() if name not in static]
    for auto in autos:
        name, hint = auto["Name"], auto["ValueHint"]
        if name in static:
            raise errors.validation(f"Hyperparameter {name} cannot be both static and tunable.")
        entry = _range_of(name, hint, tunable, strategy)
        if entry is None or len(chosen) >= left:
            static[name] = hint
        else:
            chosen.append(entry)
    for member, range_ in chosen[:left]:
        ranges[member].append(range_)
    shown = {member: listed for member, listed in ranges.items() if listed}
    own = {"RetryStrategy": {"MaximumRetryAttempts": ATTEMPTS}, **definition}
    return (
        {**own, "StaticHyperParameters": static} if static else own,
        {**shown, "AutoParameters": list(autos)} if autos else shown,
    )


def _tunable(cx: Context, definition: Mapping[str, Any]) -> dict[str, Entry] | None:
    """Return what an algorithm names as tunable, None for an algorithm that names nothing."""
    algorithm, static = definition["AlgorithmSpecification"], definition.get("StaticHyperParameters", {})
    if "AlgorithmName" in algorithm:
        known = cx.call("DescribeAlgorithm", {"AlgorithmName": algorithm["AlgorithmName"]})["TrainingSpecification"]
        return dict(_of_specification(known.get("SupportedHyperParameters", ())))
    recipe = images.built_in(algorithm.get("TrainingImage", ""), static, definition.get("Environment", {}))
    if recipe != "xgboost":
        return None
    return {
        name: (member, {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": "Auto"})
        for member, ranges in _XGBOOST.items()
        for name, (low, high) in ranges.items()
    }


def _of_specification(supported: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Entry]]:
    """Yield the tunable hyperparameters of a TrainingSpecification by their names."""
    for each in supported:
        kind, name = each["Type"], each["Name"]
        specified = each.get("Range", {}).get(f"{kind}ParameterRangeSpecification")
        if each.get("IsTunable") and specified is not None:
            yield name, (f"{kind}ParameterRanges", {"Name": name, **specified})


def _range_of(name: str, hint: str, tunable: Mapping[str, Entry] | None, strategy: str) -> Entry | None:
    """Return the range of an AutoParameter, None for one that is not eligible."""
    if tunable is None:
        is_kept = name.startswith("sagemaker_") or name in SEEDS or (strategy == "Hyperband" and name in EPOCHS)
        return None if is_kept or strategy == "Grid" else around(name, hint)
    entry = tunable.get(name)
    if entry is None or (strategy == "Grid" and entry[0] != CATEGORICAL):
        return None
    member, range_ = entry
    return entry if member == CATEGORICAL else (member, _widened(range_, hint, is_whole=member == INTEGER))


def _widened(range_: Mapping[str, Any], hint: str, *, is_whole: bool) -> dict[str, Any]:
    """Return a range that holds the hint, too."""
    try:
        value = int(hint) if is_whole else float(hint)
    except ValueError:
        return dict(range_)
    low, high = float(range_["MinValue"]), float(range_["MaxValue"])
    wider = {"MinValue": hint} if value < low else {"MaxValue": hint} if value > high else {}
    return {**range_, **wider}


def around(name: str, hint: str) -> Entry | None:
    """Return a range around an example value, None for one that says nothing about a range.

    A whole number from 1 on: from a third of it to three times of it. Another number: from a tenth of it to ten times of it, on a
    logarithmic scale where it is positive; of one under 1 to no more than 1, since many such are fractions.
    """
    if _WHOLE.fullmatch(hint):
        whole = int(hint)
        if whole < 1:
            return None
        low, high = str(max(1, round(whole / INTEGER_FACTOR))), str(whole * INTEGER_FACTOR)
        return INTEGER, {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": "Auto"}
    try:
        value = float(hint)
    except ValueError:
        return None
    ends = sorted((value / CONTINUOUS_FACTOR, value * CONTINUOUS_FACTOR))
    if not all(map(math.isfinite, ends)) or not ends[0] < ends[1]:
        return None
    most = min(ends[1], 1.0) if 0 < value < 1 else ends[1]
    scale = "Logarithmic" if ends[0] > 0 else "Linear"
    return CONTINUOUS, {"Name": name, "MinValue": repr(ends[0]), "MaxValue": repr(most), "ScalingType": scale}
