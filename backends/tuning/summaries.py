"""How a training job of a search did: what its document says of it, in the terms of its definition. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENDED = {"Completed", "Failed", "Stopped"}
OBJECTIVE_PARAMETER = "_tuning_objective_metric"
_COPIED = (
    "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime", "TrainingJobStatus", "FailureReason",
)  # fmt: skip


def number_of(name: str) -> int:
    """Return the number of a training job of a search: `<tuning job>-<number>-<8 hex>`."""
    return int(name.rsplit("-", 2)[1])


def turn(definitions: Sequence[Mapping[str, Any]], number: int) -> tuple[int, int]:
    """Return which definition a trial is of by its number, from 1, and which of its own trials it is, from 0.

    They take turns; one that is searched whole (`size`, of Grid) has none left at last.
    """
    before, ordinal = number - 1, 0
    while True:
        sizes = {index: each.get("size") for index, each in enumerate(definitions)}
        left = [index for index, size in sizes.items() if size is None or size > ordinal]
        rounds = before // len(left)
        ends = [size - ordinal for index in left if (size := sizes[index]) is not None]
        if rounds < min(ends, default=rounds + 1):
            return left[before % len(left)], ordinal + rounds
        before -= min(ends) * len(left)
        ordinal += min(ends)


def objective_of(document: Mapping[str, Any], metric: str) -> float | None:
    """Return the last value of the objective, None where the job failed, was deleted or never said it."""
    if document.get("TrainingJobStatus") not in {"Completed", "Stopped"}:
        return None
    values = (each["Value"] for each in document.get("FinalMetricDataList", ()) if each["MetricName"] == metric)
    return next(values, None)


def summary_of(definitions: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a HyperParameterTrainingJobSummary."""
    index, _ = turn(definitions, number_of(document["TrainingJobName"]))
    definition = definitions[index]
    given = document.get("HyperParameters", {})
    names = [each["name"] for each in definition["ranges"]]
    summary: dict[str, Any] = {member: document[member] for member in _COPIED if member in document}
    summary["TunedHyperParameters"] = {name: given[name] for name in names if name in given}
    if definition["name"]:
        summary["TrainingJobDefinitionName"] = definition["name"]
    value = objective_of(document, definition["metric"])
    if value is not None:
        final = {"MetricName": definition["metric"], "Value": value}
        if len(definitions) > 1:  # shape FinalHyperParameterTuningJobObjectiveMetric: Type where there are several
            final["Type"] = definition["type"]
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = final
    has_ended = document["TrainingJobStatus"] in ENDED
    summary["ObjectiveStatus"] = "Pending" if not has_ended else "Failed" if value is None else "Succeeded"
    return summary
