"""Training job definitions of a search: what each tunes, and the request that its training jobs share. A rehearsal checks that request."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.tuning.ranges import ranges_of
from backends.tuning.step import training_request
from backends.tuning.summaries import OBJECTIVE_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.core.context import Context

Definition = dict[str, Any]
"""`name`, `metric`, `type` (Maximize, Minimize), `ranges`, `static`, `request` and the `resources` to be tried in order."""
MOST_HYPERPARAMETERS = 100
"""Guide, "Define Hyperparameter Ranges": static and tunable ones, and those that the service adds (2026-11)."""
MOST_VARIABLES = 48
"""Shape HyperParameterTrainingJobEnvironmentMap: for each definition and for the tuning job."""
SHARED = (
    "AlgorithmSpecification", "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition",
    "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "CheckpointConfig",
    "RetryStrategy", "Environment",
)  # fmt: skip


def of_request(request: Mapping[str, Any]) -> list[Definition]:
    """Return a request's definitions. ValidationException for none, for both forms, and for what one lacks."""
    config = request["HyperParameterTuningJobConfig"]
    if ("TrainingJobDefinition" in request) == ("TrainingJobDefinitions" in request):
        raise errors.validation("Exactly one of TrainingJobDefinition and TrainingJobDefinitions must be given.")
    if "TrainingJobDefinition" in request:
        own = request["TrainingJobDefinition"]
        objective = own.get("TuningObjective", config.get("HyperParameterTuningJobObjective"))
        ranges = own.get("HyperParameterRanges", config.get("ParameterRanges"))
        return [_definition(own, objective, ranges)]
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if member in config:
            raise errors.validation(
                f"{member} cannot be given with TrainingJobDefinitions: each definition has its own."
            )
    several = request["TrainingJobDefinitions"]
    names = [each.get("DefinitionName") for each in several]
    if None in names or len(set(names)) != len(names):
        raise errors.validation("Each of TrainingJobDefinitions needs a DefinitionName of its own.")
    made = [_definition(each, each.get("TuningObjective"), each.get("HyperParameterRanges")) for each in several]
    if (count := sum(len(each.get("Environment", ())) for each in several)) > MOST_VARIABLES:
        raise errors.validation(
            f"The definitions of a tuning job can have {MOST_VARIABLES} environment variables in all; they have {count}."
        )
    if len({each["type"] for each in made}) > 1:  # Unverified: how AWS compares objectives of two types
        raise errors.validation("The objectives of TrainingJobDefinitions must be of one Type.")
    return made


def _definition(
    own: Mapping[str, Any], objective: Mapping[str, Any] | None, parameters: Mapping[str, Any] | None
) -> Definition:
    if objective is None:
        raise errors.validation("A tuning objective (Type and MetricName) must be given.")
    ranges = ranges_of(parameters or {})
    if not ranges:
        raise errors.validation("At least one hyperparameter range must be given.")
    static = own.get("StaticHyperParameters", {})
    _check_names(static, ranges, objective["MetricName"])
    if both := sorted(static.keys() & {each["name"] for each in ranges}):
        raise errors.validation(f"Hyperparameter {both[0]} cannot be both static and tunable.")
    return {
        "name": own.get("DefinitionName", ""),
        "metric": objective["MetricName"],
        "type": objective["Type"],
        "ranges": ranges,
        "static": static,
        "request": {member: own[member] for member in SHARED if member in own},
        "resources": resources_of(own),
    }


def _check_names(static: Mapping[str, str], ranges: Sequence[Mapping[str, Any]], metric: str) -> None:
    """Refuse the service's own hyperparameter with another value, and more hyperparameters than there may be in all."""
    tuned = [each["name"] for each in ranges]
    if OBJECTIVE_PARAMETER in tuned or static.get(OBJECTIVE_PARAMETER, metric) != metric:
        raise errors.validation(
            f"The hyperparameter name {OBJECTIVE_PARAMETER} is reserved."
        )  # Unverified: AWS's wording
    if (count := len({*static, *tuned, OBJECTIVE_PARAMETER})) > MOST_HYPERPARAMETERS:
        raise errors.validation(
            f"There can be at most {MOST_HYPERPARAMETERS} static and tunable hyperparameters, {OBJECTIVE_PARAMETER} among them; there "
            f"are {count}."
        )


def resources_of(own: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the ResourceConfigs to be tried in order: where there is no capacity for one, the next is."""
    if ("ResourceConfig" in own) == ("HyperParameterTuningResourceConfig" in own):
        raise errors.validation("Exactly one of ResourceConfig and HyperParameterTuningResourceConfig must be given.")
    if "ResourceConfig" in own:
        return [own["ResourceConfig"]]
    config = own["HyperParameterTuningResourceConfig"]
    volume = {k: config[k] for k in ("VolumeSizeInGB", "VolumeKmsKeyId") if k in config}
    single = {k: config[k] for k in ("InstanceType", "InstanceCount") if k in config}
    if bool(single) == ("InstanceConfigs" in config):
        raise errors.validation("Exactly one of InstanceType with InstanceCount and InstanceConfigs must be given.")
    if single:
        return [{**single, **volume}]
    if volume:  # shape HyperParameterTuningResourceConfig, of VolumeSizeInGB; Unverified: AWS's wording
        raise errors.validation(f"{next(iter(volume))} cannot be given with InstanceConfigs, which have their own.")
    return [{"VolumeSizeInGB": 1, **each} for each in config["InstanceConfigs"]]


class _TakenBackError(Exception):
    """The rehearsal is over; what it wrote is undone."""


def rehearse(cx: Context, definition: Definition, name: str) -> None:
    """Make a training job of a definition and take it back: what CreateTrainingJob refuses, the tuning job is refused for.

    ValidationException also where the objective is none of the metrics that the training job would have.
    """
    _check_algorithm(cx, definition)
    specification: dict[str, Any] = {}
    with suppress(_TakenBackError), cx.transaction.savepoint():
        for attempt in range(len(definition["resources"])):
            for end in (0, 1):
                specification = _made(cx, definition, f"{name}-00{end}-{attempt:08x}", attempt, end)
        raise _TakenBackError
    metrics = {metric["Name"] for metric in specification.get("MetricDefinitions", ())}
    if definition["metric"] not in metrics:
        raise errors.validation(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
        )


def _check_algorithm(cx: Context, definition: Definition) -> None:
    """Refuse what the algorithm that the definition names is not tuned by. Unverified: AWS's wordings."""
    algorithm = definition["request"].get("AlgorithmSpecification", {})
    if "AlgorithmName" not in algorithm or "TrainingImage" in algorithm:
        return
    training = cx.call("DescribeAlgorithm", {"AlgorithmName": algorithm["AlgorithmName"]})["TrainingSpecification"]
    fixed = {each["Name"] for each in training.get("SupportedHyperParameters", ()) if not each.get("IsTunable", True)}
    if wrong := [each["name"] for each in definition["ranges"] if each["name"] in fixed]:
        raise errors.validation(f"Hyperparameter {wrong[0]} of the algorithm is not tunable.")
    objectives = training.get("SupportedTuningJobObjectiveMetrics")
    own = {"Type": definition["type"], "MetricName": definition["metric"]}
    if objectives and own not in objectives:
        raise errors.validation(f"The algorithm does not support the objective {own['Type']} {own['MetricName']}.")


def _made(cx: Context, definition: Definition, name: str, attempt: int, end: int) -> dict[str, Any]:
    """Make a training job with the first (`end` 0) or last values of each range; return its AlgorithmSpecification."""
    values = {
        each["name"]: each["values"][-end] if "values" in each else each["high" if end else "low"]
        for each in definition["ranges"]
    }
    cx.call("CreateTrainingJob", training_request(definition, name, values, [], attempt))
    made: dict[str, Any] = cx.call("DescribeTrainingJob", {"TrainingJobName": name})["AlgorithmSpecification"]
    return made
