"""What can be wrong with a pipeline's definition, noticed before anything is stored."""

from __future__ import annotations

import re
from collections import Counter
from graphlib import CycleError
from typing import TYPE_CHECKING, Any

from backends.pipelines import conditions, expressions, graph, parameters, paths
from backends.pipelines.expressions import EXECUTION, EXPERIMENT, file_of, json_gets, references, step_of
from backends.pipelines.step_types import KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STEP_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_STEPS, LONGEST_PATH = 1000, 1024
"""Unverified: AWS's. What has more would hold up whoever else writes."""
DEEPEST = 100
"""How deep a definition may be nested; nobody's is, and whatever walks through one may rely on it."""
EXCEPTIONS = frozenset({
    "Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT",
    "Emr.RESOURCE_LIMIT",
})  # fmt: skip
NEEDED = {"Fail": ("Arguments", "ErrorMessage"), "Callback": ("", "SqsQueueUrl"), "Lambda": ("", "FunctionArn")}
"""What a step of a type cannot do without, in its arguments or beside them."""
EXPERIMENT_NAMES = {"ExperimentName", "TrialName"}
MOST_INTERVAL_S, MOST_ATTEMPTS, MOST_EXPIRE_MIN = 43_200, 20, 14_400


def problems(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a definition, the first thing first; what follows relies on what came before."""
    if _is_too_deep(document):
        yield f"It is nested more than {DEEPEST} deep"
    if document.get("Version", "2020-12-01") != "2020-12-01":
        yield f"Unknown version {document['Version']!r}"
    yield from parameters.problems(document.get("Parameters"))
    listed = [step for step, _ in graph.every(document["Steps"])]
    if len(listed) > MOST_STEPS:
        yield f"It has more than {MOST_STEPS} steps"
    for step in listed:
        yield from _of_form(step)
    counted = Counter(step["Name"] for step in listed)
    yield from (f"Step names must be unique: {name}" for name, count in counted.items() if count > 1)
    by_name = {step["Name"]: step for step in listed}
    for step in listed:
        yield from _of_references(step, by_name, document)
    experiment = document.get("PipelineExperimentConfig")
    is_good = isinstance(experiment, dict) and all(isinstance(each, (str, dict)) for each in experiment.values())
    if experiment is not None and not (is_good and set(experiment) <= EXPERIMENT_NAMES):
        yield "PipelineExperimentConfig must be an object of ExperimentName and TrialName"
    yield from _of_references_of({"Name": "PipelineExperimentConfig"}, experiment, {}, document)
    try:
        graph.in_order(graph.steps_of(document))
    except CycleError as error:
        yield f"Steps wait for each other: {' -> '.join(error.args[1])}"


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _of_form(step: Any) -> Iterator[str]:
    """Yield what is wrong with a step by itself."""
    name, kind = (step.get("Name"), step.get("Type")) if isinstance(step, dict) else (None, None)
    if not isinstance(name, str) or not STEP_NAME.fullmatch(name) or not isinstance(kind, str):
        yield "A step needs a Name and a Type"
        return
    if kind not in KNOWN:
        yield f"Step {name} has the unknown type {kind}"
    arguments = step.get("Arguments")
    if not isinstance(arguments, dict):
        yield f"Step {name} needs Arguments"
        return
    depends = step.get("DependsOn") or []
    if not isinstance(depends, list) or not all(isinstance(each, str) for each in depends):
        yield f"DependsOn of step {name} must be a list of steps"
    yield from (f"Step {name}: {wrong}" for wrong in _of_type(step, kind, arguments))
    yield from (f"Step {name}: {wrong}" for wrong in _of_policies(step))
    yield from (f"Step {name}: {wrong}" for wrong in _of_expressions(graph.own_members(step)))


def _of_type(step: Mapping[str, Any], kind: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    if kind == "Condition":
        yield from _of_condition(arguments)
    where, member = NEEDED.get(kind, ("", ""))
    if member and not (arguments if where == "Arguments" else step).get(member):
        yield f"A {kind} step needs {member}"
    files = step.get("PropertyFiles") or []
    members = ("PropertyFileName", "OutputName", "FilePath")
    if not isinstance(files, list) or not all(
        isinstance(each, dict) and all(isinstance(each.get(member), str) for member in members) for each in files
    ):
        yield f"A property file needs {', '.join(members)}"
    outputs = step.get("OutputParameters") or []
    if not isinstance(outputs, list) or not all(isinstance(each, dict) and each.get("OutputName") for each in outputs):
        yield "An output parameter needs an OutputName"


def _of_condition(arguments: Mapping[str, Any]) -> Iterator[str]:
    listed = arguments.get("Conditions")
    if not isinstance(listed, list) or not listed:
        yield "A Condition step needs Conditions"
        return
    for condition in listed:
        yield from conditions.problems(condition)
    for branch in ("IfSteps", "ElseSteps"):
        if not isinstance(arguments.get(branch, []), list):
            yield f"{branch} must be a list"


def _of_policies(step: Mapping[str, Any]) -> Iterator[str]:
    cache = step.get("CacheConfig") or {}
    if not isinstance(cache, dict) or not isinstance(cache.get("Enabled", False), bool):
        yield "CacheConfig needs Enabled, true or false"
    elif "ExpireAfter" in cache and graph.seconds_of(str(cache["ExpireAfter"])) is None:
        yield f"{cache['ExpireAfter']!r} is no duration"
    policies = step.get("RetryPolicies") or []
    if not isinstance(policies, list):
        yield "RetryPolicies must be a list"
        return
    for policy in policies:
        if not isinstance(policy, dict) or not isinstance(policy.get("ExceptionType"), list):
            yield "A retry policy needs ExceptionType, a list"
            continue
        unknown = [each for each in policy["ExceptionType"] if each not in EXCEPTIONS]
        if unknown:
            yield f"Unknown exception type {unknown[0]!r}"
        if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
            yield "Only one of MaxAttempts and ExpireAfterMin may be given"
        for member, least, most in (
            ("IntervalSeconds", 0, MOST_INTERVAL_S), ("BackoffRate", 0, 1000),
            ("MaxAttempts", 0, MOST_ATTEMPTS), ("ExpireAfterMin", 0, MOST_EXPIRE_MIN),
        ):  # fmt: skip
            value = policy.get(member, least)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
                yield f"{member} must be a number from {least} to {most}"


def _of_expressions(value: Any) -> Iterator[str]:
    """Yield which expressions are none: each is a map of its one key."""
    kind = expressions.kind_of(value)
    wrong = _of_expression(kind, value[kind]) if kind else ""
    if wrong:
        yield wrong
        return
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for each in inner:
        yield from _of_expressions(each)


def _of_expression(kind: str, wanted: Any) -> str:
    if kind == expressions.GET:
        return "" if isinstance(wanted, str) else "Get takes a text"
    if kind == expressions.JOIN:
        is_whole = isinstance(wanted, dict) and isinstance(wanted.get("Values"), list)
        return "" if is_whole else "Std:Join needs On and Values"
    if (
        not isinstance(wanted, dict)
        or not isinstance(wanted.get("Path"), str)
        or ("S3Uri" in wanted) == ("PropertyFile" in wanted)
    ):
        return "Std:JsonGet needs a Path, and either a PropertyFile or an S3Uri"
    if not _is_path(wanted["Path"]):
        return f"{wanted['Path']!r} is no path"
    file = wanted.get("PropertyFile", {expressions.GET: ""})
    is_got = isinstance(file, dict) and isinstance(file.get(expressions.GET), str)
    return "" if is_got else 'A PropertyFile is {"Get": "Steps.<step>.PropertyFiles.<name>"}'


def _of_references(step: Mapping[str, Any], by_name: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield which references of a step lead nowhere."""
    for name in step.get("DependsOn") or ():
        if name not in by_name:
            yield f"Step {step['Name']} depends on {name}, which is not there"
        elif by_name[name]["Type"] == "Fail":
            yield f"Step {step['Name']} depends on {name}, which always fails"
    yield from _of_references_of(step, graph.own_members(step), by_name, document)


def _of_references_of(
    step: Mapping[str, Any], value: Any, by_name: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    known = {
        "Parameters": {each["Name"] for each in document.get("Parameters") or ()},
        "Execution": EXECUTION,
        "PipelineExperimentConfig": EXPERIMENT,
    }
    for reference in references(value):
        source, _, rest = reference.partition(".")
        if source == "Steps":
            wrong = _of_step_reference(reference, by_name)
        else:
            wrong = "" if rest in known.get(source, ()) else f"{reference} is not there"
        if wrong:
            yield f"Step {step['Name']}: {wrong}"
    for wanted in json_gets(value):
        if (named := file_of(wanted)) is not None:
            name, file = named
            files = [each["PropertyFileName"] for each in by_name.get(name, {}).get("PropertyFiles") or ()]
            if file not in files:
                yield f"Step {step['Name']}: step {name} has no property file {file}"


def _of_step_reference(reference: str, by_name: Mapping[str, Any]) -> str:
    name, path = step_of(reference) or ("", "")
    if name not in by_name:
        return f"{reference} is of a step that is not there"
    if by_name[name]["Type"] == "Fail":
        return f"{reference} is of a Fail step, which has no properties"
    return "" if path and _is_path(path) else f"{reference[:LONGEST_PATH]} names no property"


def _is_path(text: str) -> bool:
    return len(text) <= LONGEST_PATH and paths.parts_of(text) is not None
