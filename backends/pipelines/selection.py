"""Selective execution: of a pipeline's steps only some run; what the others came to is an earlier execution's.

Source: developer guide, "Selective execution of pipeline steps"; SDK issue 4444.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.core import errors
from backends.core.tables import parents as waiting
from backends.pipelines import shown, step
from backends.pipelines.step_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.pipelines.graph import Steps

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True)
class Selection:
    """What an execution takes from an earlier one: the values of its parameters, and the runs of steps."""

    parameters: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)


def of_request(cx: Context, execution: Resource, pipeline: Row, request: Mapping[str, Any], steps: Steps) -> Selection:
    """Return what a request takes from an earlier execution. ValidationException for steps and sources that cannot be."""
    config = request.get("SelectiveExecutionConfig")
    if config is None:
        return Selection()
    selected = [each["StepName"] for each in config["SelectedSteps"]]
    for name in selected:  # Unverified: AWS's wording
        if name not in steps:
            raise errors.validation(f"Invalid SelectedSteps: step {name} is not in the pipeline.")
    needed = sorted({other for name in selected for other in steps[name]["needs"] if other not in selected})
    source = config.get("SourcePipelineExecutionArn")
    state: dict[str, Any] = {"runs": {}, "parameters": {}}
    if source is None and needed:
        raise errors.validation(
            f"Invalid SourcePipelineExecutionArn: null. The selected steps {_listed(selected)} have dependencies on {_listed(needed)}."
        )
    if source is not None:
        row = execution.get(cx, source)
        if not row.key.startswith(f"{pipeline.key}/") or row.status not in ENDED:  # Unverified: AWS's wording
            raise errors.validation(
                f"Invalid SourcePipelineExecutionArn: {source}. It must be an execution of this pipeline that has ended."
            )
        state = orjson.loads(cx.db.execute(select(waiting.c.state).where(waiting.c.arn == row.arn)).scalar_one())
    runs = {
        name: _run(cx, steps, name, state["runs"].get(name), str(source)) if name in needed else dict(step.NEW_RUN)
        for name in steps
        if name not in selected
    }
    for name in selected:
        if steps[name]["branch"] is not None and steps[name]["branch"][0] not in selected:
            steps[name]["branch"] = None  # it was selected, whatever its condition came to
        steps[name]["inside"] = [other for other in steps[name]["inside"] if other in selected]
    return Selection(state["parameters"], runs)


def _run(cx: Context, steps: Steps, name: str, run: Mapping[str, Any] | None, source: str) -> dict[str, Any]:
    """Return an earlier run of a step as that of this execution. ValidationException where it has none that succeeded."""
    values = None
    if run is not None and run["status"] == "Succeeded":
        values = values_of(cx, steps[name], run)
    if values is None:  # Unverified: AWS's wording
        raise errors.validation(f"Invalid SourcePipelineExecutionArn: {source}. Step {name} did not succeed in it.")
    kept = {k: v for k, v in (run or {}).items() if k in {"start", "end", "metadata", "outcome", "key"}}
    return {**step.NEW_RUN, **kept, "status": "Succeeded", "source": source, "values": values[0], "files": values[1]}


def values_of(
    cx: Context, each: Mapping[str, Any], run: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return what an earlier run of a step shows at the paths that others read; None where what it made is gone."""
    if each["type"] not in TYPES:
        outputs = {out["Name"]: out["Value"] for out in run["metadata"].get("OutputParameters", ())}
        document = {**run["metadata"], "OutputParameters": outputs, "Outcome": run.get("outcome")}
        return shown.shown_at(document, each["read_paths"], each["files"])
    noun = TYPES[each["type"]].create.removeprefix("Create")
    row = cx.kernel.resources[noun].find_arn(cx, run["metadata"]["Arn"])
    return None if row is None else shown.shown_at(row.document, each["read_paths"], each["files"])


def _listed(names: list[str]) -> str:
    return f"[{', '.join(names)}]"
