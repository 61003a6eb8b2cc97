"""What steps show: to other steps, in ListPipelineExecutionSteps, and in times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.pipelines import paths
from backends.pipelines.step_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping


def summaries_of(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request for the best training jobs of a search, the best first."""
    config = document.get("HyperParameterTuningJobConfig", {})
    maximize = config.get("HyperParameterTuningJobObjective", {}).get("Type") != "Minimize"
    return {
        "HyperParameterTuningJobName": name,
        "SortBy": "FinalObjectiveMetricValue",
        "SortOrder": "Descending" if maximize else "Ascending",
        "MaxResults": 50,
    }


def shown_at(
    document: Mapping[str, Any], read_paths: list[str], files: Mapping[str, list[str]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what stands at the paths that others read, and where the property files are."""
    values: dict[str, Any] = {}
    for path in read_paths:
        try:
            values[path] = paths.at(document, path)
        except paths.MissingError:
            continue
    places = {}
    for file, (output, path) in files.items():
        uri = values.get(f"ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri")
        if uri is not None:
            places[file] = f"{str(uri).rstrip('/')}/{path}"
    return values, places


def metadata_of(steps: Mapping[str, Any], name: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's Metadata as ListPipelineExecutionSteps has it; empty while there is nothing to say."""
    step_type = steps[name]["type"]
    member = TYPES[step_type].metadata if step_type in TYPES else step_type
    return {member: run["metadata"]} if run.get("metadata") else {}


def instant(at: float) -> str:
    """Return a time as an expression gives it (ISO 8601, UTC)."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record_of(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a step as ListPipelineExecutionSteps shows it."""
    run, each = state["runs"][name], state["steps"][name]
    record = {
        "StepName": name,
        **each["shown"],
        "StartTime": run["start"],
        "EndTime": run.get("end"),
        "StepStatus": run["status"],
        "FailureReason": run.get("reason"),
        "AttemptCount": run["attempt"],
        "Metadata": metadata_of(state["steps"], name, run),
        "CacheHitResult": {"SourcePipelineExecutionArn": run["hit"]} if run.get("hit") else None,
        "SelectiveExecutionResult": {"SourcePipelineExecutionArn": run["source"]} if run.get("source") else None,
    }
    return {k: v for k, v in record.items() if v is not None}
