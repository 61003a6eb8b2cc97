"""Warm start: a search begins with what earlier ones have found.

Source: guide, "Run a Warm Start Hyperparameter Tuning Job" (2026-11). Unverified: AWS's wordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.tuning import children
from backends.tuning.ranges import value_of
from backends.tuning.summaries import objective_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.core.context import Context
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.tuning.definitions import Definition

IDENTICAL = "IdenticalDataAndAlgorithm"
MOST_CHANGES = 10


def of_request(
    cx: Context, resource: Resource, request: Mapping[str, Any], definitions: Sequence[Definition]
) -> dict[str, Any]:
    """Return `earlier`, the trials of the parents as (values, objective), and with identical data `overall`, their best one.

    ValidationException for parents that are not there, have not ended or differ in more than a warm start may.
    """
    config = request.get("WarmStartConfig")
    if config is None:
        return {}
    if len(definitions) > 1:
        raise errors.validation("WarmStartConfig cannot be given with TrainingJobDefinitions.")
    (definition,) = definitions
    is_identical = config["WarmStartType"] == IDENTICAL
    earlier: list[Any] = []
    best: dict[str, Any] | None = None
    for named in config["ParentHyperParameterTuningJobs"]:
        row = _parent(cx, resource, named.get("HyperParameterTuningJobName", ""))
        _check(row, request, definition, is_identical=is_identical)
        for document in children.documents(cx, row.arn):
            value = objective_of(document, definition["metric"])
            if value is None:
                continue
            earlier.append([_values(definition, document), value])
            if best is None or (value > best["value"] if definition["type"] == "Maximize" else value < best["value"]):
                summary = {**summary_of(row.hidden["definitions"], document), "TuningJobName": row.key}
                best = {"value": value, "summary": summary}
    return {"earlier": earlier, **({"overall": best} if is_identical else {})}


def _parent(cx: Context, resource: Resource, name: str) -> Row:
    row = resource.find(cx, name)
    if row is None:
        raise errors.validation(f"The parent tuning job {name} does not exist.")
    if row.status not in {"Completed", "Failed", "Stopped"}:
        raise errors.validation(f"The parent tuning job {name} is in status {row.status} and has not ended.")
    if len(row.hidden["definitions"]) > 1:
        raise errors.validation(f"The parent tuning job {name} has several training job definitions.")
    return row


def _values(definition: Definition, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training job's hyperparameters as values of the new ranges: static ones too, where they are in a range now."""
    given = document.get("HyperParameters", {})
    values = {each["name"]: value_of(each, given.get(each["name"], "")) for each in definition["ranges"]}
    return {name: value for name, value in values.items() if value is not None}


def _check(row: Row, request: Mapping[str, Any], definition: Definition, *, is_identical: bool) -> None:
    (parent,) = row.hidden["definitions"]
    if (parent["metric"], parent["type"]) != (definition["metric"], definition["type"]):
        raise errors.validation(f"The objective differs from that of the parent tuning job {row.key}.")
    own, theirs = _names(definition), _names(parent)
    if len(own) != len(theirs):
        raise errors.validation(
            f"The number of static and tunable hyperparameters differs from that of the parent tuning job {row.key}."
        )
    kinds = {each["name"]: each["kind"] for each in parent["ranges"]}
    for each in definition["ranges"]:
        if kinds.get(each["name"], each["kind"]) != each["kind"]:
            raise errors.validation(f"Hyperparameter {each['name']} is of another type in the parent {row.key}.")
    if _changes(definition, parent) > MOST_CHANGES:
        raise errors.validation(
            f"There are more than {MOST_CHANGES} changes of static hyperparameters since the parent tuning job {row.key}."
        )
    if is_identical:
        _check_identical(row, request)


def _names(definition: Mapping[str, Any]) -> set[str]:
    return {*definition["static"], *(each["name"] for each in definition["ranges"])}


def _changes(definition: Definition, parent: Mapping[str, Any]) -> int:
    """Count hyperparameters that have become static, each value of a categorical one, and static values that have changed (twice)."""
    ranges = {each["name"]: each for each in parent["ranges"]}
    count = 0
    for name, value in definition["static"].items():
        if name in ranges:
            count += len(ranges[name].get("values", (value,)))
        elif parent["static"].get(name, value) != value:
            count += 2
    return count


def _check_identical(row: Row, request: Mapping[str, Any]) -> None:
    """Check that image and data are the parent's."""
    own, theirs = request["TrainingJobDefinition"], row.document["TrainingJobDefinition"]
    for member in ("TrainingImage", "AlgorithmName"):
        if own["AlgorithmSpecification"].get(member) != theirs["AlgorithmSpecification"].get(member):
            raise errors.validation(f"{IDENTICAL} needs the {member} of the parent tuning job {row.key}.")
    if own.get("InputDataConfig") != theirs.get("InputDataConfig"):
        raise errors.validation(f"{IDENTICAL} needs the InputDataConfig of the parent tuning job {row.key}.")
