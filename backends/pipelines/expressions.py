"""Expressions of a definition: what stands where a value could, and is known only when its step begins.

    {"Get": "Parameters.Rate"}                      a parameter of the execution
    {"Get": "Steps.Train.ModelArtifacts..."}        what a step that has ended shows (`paths.py`)
    {"Get": "Execution.PipelineExecutionId"}        the execution itself
    {"Get": "PipelineExperimentConfig.TrialName"}   its experiment
    {"Std:Join": {"On": "/", "Values": [...]}}      texts, joined
    {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.S.PropertyFiles.F"}, "Path": "a.b[0]"}}    what a file in S3 says
    {"Std:JsonGet": {"S3Uri": ..., "Path": "a.b[0]"}}

Source: sagemaker-model-building-pipeline-definition-JSON-schema; SDK v2 `workflow/functions.py`, `execution_variables.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.pipelines import paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GET, JOIN, JSON_GET = "Get", "Std:Join", "Std:JsonGet"
EXECUTION = (
    "StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn",
    "TrainingJobName", "ProcessingJobName",
)  # fmt: skip
EXPERIMENT = ("ExperimentName", "TrialName")


def kind_of(value: Any) -> str:
    """Return which expression a value is, empty for none."""
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        return str(key) if key in {GET, JOIN, JSON_GET} else ""
    return ""


def references(value: Any) -> Iterator[str]:
    """Yield what the expressions anywhere in a value get: `Steps.Train.ModelArtifacts`."""
    if kind_of(value) == GET:
        yield str(value[GET])
    elif isinstance(value, dict):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def step_of(reference: str) -> tuple[str, str] | None:
    """Return the step that a reference names and the path within it; None for one to something else."""
    source, _, rest = reference.partition(".")
    if source != "Steps":
        return None
    end = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
    return rest[:end], rest[end:].removeprefix(".")


@dataclass(frozen=True, slots=True)
class Scope:
    """What expressions are about. `steps`: by step and path; `files`: a property file's place by step and name; `read`: by (S3 URI, path)."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, Any]
    experiment: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, Mapping[str, str]]
    read: Mapping[str, Any]
    unread: list[tuple[str, str]] = field(default_factory=list)
    """What must be read from S3 first: (URI, path)."""


def evaluate(value: Any, scope: Scope) -> Any:
    """Return a value with what its expressions come to. MissingError; what is unread is None, and stands in `scope.unread`."""
    match kind_of(value):
        case "Get":
            return _get(str(value[GET]), scope)
        case "Std:Join":
            joined = value[JOIN]
            return str(joined.get("On", "")).join(text_of(evaluate(each, scope)) for each in joined["Values"])
        case "Std:JsonGet":
            return _json_get(value[JSON_GET], scope)
    if isinstance(value, dict):
        return {key: evaluate(inner, scope) for key, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, scope) for inner in value]
    return value


def text_of(value: Any) -> str:
    """Return a value as it stands in a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _get(reference: str, scope: Scope) -> Any:
    source, _, name = reference.partition(".")
    known = {"Parameters": scope.parameters, "Execution": scope.execution, "PipelineExperimentConfig": scope.experiment}
    if source in known:
        if name not in known[source]:
            raise paths.MissingError(reference)
        return known[source][name]
    step, path = step_of(reference) or ("", "")
    shown = scope.steps.get(step, {})
    if path not in shown:
        raise paths.MissingError(reference)
    return shown[path]


def _json_get(wanted: Mapping[str, Any], scope: Scope) -> Any:
    path = str(wanted["Path"])
    if "S3Uri" in wanted:
        uri = str(evaluate(wanted["S3Uri"], scope))
    else:
        reference = file_of(wanted)
        step, name = reference or ("", "")
        uri = scope.files.get(step, {}).get(name, "")
        if not uri:
            raise paths.MissingError(f"Steps.{step}.PropertyFiles.{name}")
    key = f"{uri} {path}"
    if key not in scope.read:
        scope.unread.append((uri, path))
        return None
    return scope.read[key]


def file_of(wanted: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the step and the name of the property file that a JsonGet reads; None for one by S3 URI."""
    reference = step_of(str(wanted.get("PropertyFile", {}).get(GET, "")))
    if reference is None:
        return None
    step, path = reference
    return step, path.removeprefix("PropertyFiles.")


def json_gets(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every JsonGet in a value."""
    if kind_of(value) == JSON_GET:
        yield value[JSON_GET]
    if isinstance(value, dict):
        for inner in value.values():
            yield from json_gets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from json_gets(inner)
