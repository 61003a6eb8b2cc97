"""What a training job requests of an algorithm that it names, held against the algorithm's TrainingSpecification.

Source: shapes TrainingSpecification, ChannelSpecification and HyperParameterSpecification; guide, "Use an Algorithm to Run a
Training Job" (2026-11). Unverified: AWS's wordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.context import Context

TRAINABLE = {"InProgress", "Completed"}
"""An algorithm is InProgress while its own validation trains with it."""
TOLD_BY_THE_SERVICE = {"_tuning_objective_metric"}
"""What a tuning job adds to the hyperparameters of its training jobs."""


def resolve(cx: Context, request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the request with what the algorithm adds to it, and the algorithm's image; as it is without AlgorithmName.

    ValidationException for an algorithm that is not there or of no use, and for what it does not support.
    """
    algorithm = request.get("AlgorithmSpecification", {})
    if "AlgorithmName" not in algorithm or "TrainingImage" in algorithm:
        return dict(request), ""
    known = cx.call("DescribeAlgorithm", {"AlgorithmName": algorithm["AlgorithmName"]})
    if known["AlgorithmStatus"] not in TRAINABLE:
        raise errors.validation(f"Algorithm {known['AlgorithmArn']} is in status {known['AlgorithmStatus']}.")
    if algorithm.get("MetricDefinitions"):
        raise errors.validation("MetricDefinitions cannot be given with AlgorithmName: they are the algorithm's.")
    training = known["TrainingSpecification"]
    _check_instances(request.get("ResourceConfig", {}), training)
    _check_channels(request.get("InputDataConfig", ()), algorithm["TrainingInputMode"], training["TrainingChannels"])
    added = dict(request)
    if values := _hyperparameters(request.get("HyperParameters", {}), training.get("SupportedHyperParameters")):
        added["HyperParameters"] = values
    if training.get("MetricDefinitions"):
        added["AlgorithmSpecification"] = {**algorithm, "MetricDefinitions": training["MetricDefinitions"]}
    return added, training["TrainingImage"]


def _check_instances(resources: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    groups = resources.get("InstanceGroups") or [resources]
    supported = training["SupportedTrainingInstanceTypes"]
    for group in groups:
        if "InstanceType" in group and group["InstanceType"] not in supported:
            raise errors.validation(f"The algorithm does not support {group['InstanceType']}: {', '.join(supported)}.")
    if not training.get("SupportsDistributedTraining") and sum(each.get("InstanceCount", 1) for each in groups) > 1:
        raise errors.validation("The algorithm does not support distributed training: InstanceCount must be 1.")


def _check_channels(given: Iterable[Mapping[str, Any]], mode: str, supported: Iterable[Mapping[str, Any]]) -> None:
    named = {channel["ChannelName"]: channel for channel in given}
    known = {channel["Name"]: channel for channel in supported}
    if unknown := sorted(named.keys() - known.keys()):
        raise errors.validation(f"The algorithm has no channel {', '.join(unknown)}; it has {', '.join(known)}.")
    for name, channel in known.items():
        if name not in named:
            if channel.get("IsRequired"):
                raise errors.validation(f"The algorithm requires the channel {name}.")
            continue
        requested = {
            "SupportedInputModes": named[name].get("InputMode", mode),
            "SupportedContentTypes": named[name].get("ContentType"),
            "SupportedCompressionTypes": named[name].get("CompressionType"),
        }
        for member, value in requested.items():
            if value not in {None, "None"} and channel.get(member) and value not in channel[member]:
                raise errors.validation(f"Channel {name}: {value} is not among the algorithm's {member}.")


def _hyperparameters(given: Mapping[str, str], supported: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Return the hyperparameters with the algorithm's defaults; one that describes none takes any."""
    if not supported:
        return dict(given)
    known = {parameter["Name"]: parameter for parameter in supported}
    if unknown := sorted(given.keys() - known.keys() - TOLD_BY_THE_SERVICE):
        raise errors.validation(f"The algorithm has no hyperparameter {', '.join(unknown)}.")
    values = {name: each["DefaultValue"] for name, each in known.items() if "DefaultValue" in each} | dict(given)
    for name, parameter in known.items():
        if name in values:
            if not is_in_range(values[name], parameter):
                raise errors.validation(f"Hyperparameter {name}: {values[name]!r} is not in the algorithm's range.")
        elif parameter.get("IsRequired"):
            raise errors.validation(f"The algorithm requires the hyperparameter {name}.")
    return values


def is_in_range(value: str, parameter: Mapping[str, Any]) -> bool:
    """Return whether a value is of a hyperparameter's type and in its range."""
    kind, ranges = parameter["Type"], parameter.get("Range", {})
    if kind == "FreeText":
        return True
    if kind == "Categorical":
        values = ranges.get("CategoricalParameterRangeSpecification", {}).get("Values")
        return values is None or value in values
    limits = ranges.get(f"{kind}ParameterRangeSpecification", {})
    try:
        number = int(value) if kind == "Integer" else float(value)
        return float(limits.get("MinValue", "-inf")) <= number <= float(limits.get("MaxValue", "inf"))
    except ValueError:
        return False
