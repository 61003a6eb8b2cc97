"""The steps of a definition, those of branches too, as what runs them needs them: plain JSON, by their names."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from backends.pipelines.expressions import file_of, json_gets, references, step_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Steps = dict[str, dict[str, Any]]
COMMON = frozenset({
    "Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description", "RetryPolicies", "CacheConfig", "PropertyFiles"
})  # fmt: skip
DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
"""ISO 8601, and as the guide's examples have it, without its `P`: `30d`, `T16m`."""
SECONDS = {
    "years": 365 * 86400, "months": 30 * 86400, "weeks": 7 * 86400, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1
}  # fmt: skip
FOREVER_S = 100 * 365 * 86400


def seconds_of(duration: str) -> int | None:
    """Return the seconds of a duration; None for what is none."""
    match = DURATION.fullmatch(duration.strip())
    given = {name: int(number) for name, number in match.groupdict().items() if number} if match else {}
    return sum(SECONDS[name] * number for name, number in given.items()) if given else None


def every(steps: Any, branch: tuple[str, bool] | None = None) -> Iterator[tuple[Any, tuple[str, bool] | None]]:
    """Yield every step with the condition and the outcome under which it runs; the steps of a condition follow it."""
    for step in steps if isinstance(steps, list) else ():
        yield step, branch
        arguments = step.get("Arguments") if isinstance(step, dict) and step.get("Type") == "Condition" else None
        if isinstance(arguments, dict):
            yield from every(arguments.get("IfSteps"), (step.get("Name", ""), True))
            yield from every(arguments.get("ElseSteps"), (step.get("Name", ""), False))


def own_members(step: Mapping[str, Any]) -> Any:
    """Return what of a step may hold expressions: its arguments without its branches, and what is its type's own."""
    arguments = step.get("Arguments", {})
    if step.get("Type") == "Condition":
        arguments = arguments.get("Conditions", [])
    return [arguments, {k: v for k, v in step.items() if k not in COMMON}]


def steps_of(document: Mapping[str, Any]) -> Steps:
    """Return the steps of a definition that has been checked."""
    listed = list(every(document["Steps"]))
    branches = {step["Name"]: branch for step, branch in listed}
    steps = {step["Name"]: _step(step, branch) for step, branch in listed}
    below: dict[str, set[str]] = {}  # a condition's name -> the steps in its branches
    for name in steps:
        for condition in _above(name, branches):
            below.setdefault(condition, set()).add(name)
    for name, step in steps.items():
        inside = [below[need] for need in step["needs"] if need in below and name not in below[need]]
        step["inside"] = sorted(set().union(*inside))
    _note_read_paths(document, steps)
    return steps


def in_order(steps: Steps) -> Steps:
    """Return the steps in an order in which none waits for what follows it. CycleError."""
    order = TopologicalSorter(edges(steps)).static_order()
    return {name: steps[name] for name in order}


def _step(step: Mapping[str, Any], branch: tuple[str, bool] | None) -> dict[str, Any]:
    arguments, own = own_members(step)
    cache = step.get("CacheConfig") or {}
    expires = cache.get("ExpireAfter")
    needs = {named[0] for each in references([arguments, own]) if (named := step_of(each)) is not None}
    needs |= {named[0] for each in json_gets([arguments, own]) if (named := file_of(each)) is not None}
    return {
        "type": step["Type"],
        "shown": {f"Step{k}": step[k] for k in ("DisplayName", "Description") if step.get(k)},
        "arguments": arguments,
        "own": own,
        "branch": list(branch) if branch is not None else None,
        "needs": sorted(needs | set(step.get("DependsOn") or ())),
        "retry": step.get("RetryPolicies") or [],
        "cache_s": (FOREVER_S if expires is None else seconds_of(expires)) if cache.get("Enabled") else None,
        "files": {
            each["PropertyFileName"]: [each["OutputName"], each["FilePath"]] for each in step.get("PropertyFiles") or ()
        },
        "read_paths": [],
    }


def _above(name: str, branches: Mapping[str, tuple[str, bool] | None]) -> Iterator[str]:
    """Yield the conditions in whose branches a step stands, the innermost first."""
    branch = branches.get(name)
    while branch is not None:
        yield branch[0]
        branch = branches.get(branch[0])


def _note_read_paths(document: Mapping[str, Any], steps: Steps) -> None:
    """Write down with each step which paths of it others ask for: of what it shows only those are kept."""
    read_paths: dict[str, set[str]] = {name: set() for name in steps}
    for step, _ in every(document["Steps"]):
        for reference in references(own_members(step)):
            named = step_of(reference)
            if named is not None and not named[1].startswith("PropertyFiles."):
                read_paths[named[0]].add(named[1])
    for name, step in steps.items():
        read_paths[name] |= {
            f"ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri" for output, _ in step["files"].values()
        }
        step["read_paths"] = sorted(read_paths[name])


def edges(steps: Steps) -> dict[str, set[str]]:
    """Return which steps each waits for, its own condition among them."""
    return {
        name: {*step["needs"], *step["inside"], *([step["branch"][0]] if step["branch"] else [])}
        for name, step in steps.items()
    }
