"""Trial components: parameters, artifacts and times of one step of a trial, whoever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.core import arn as arns
from backends.core import errors
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

LINEAGE_GROUP = "lineage-group/sagemaker-default-lineage-group"  # Unverified: its name
PARENT_TRIAL = "Parents.TrialName"
MAPS = {"Parameters": 300, "InputArtifacts": 60, "OutputArtifacts": 60}
"""The maps of a component, and how many entries the model lets each have."""


def _indexed(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters as Search names them: `Parameters.depth`, whether it is a text or a number."""
    for name, value in document.get("Parameters", {}).items():
        yield from ((f"Parameters.{name}", scalar) for scalar in value.values())


COMPONENT = resource(
    "TrialComponent",
    arn_path="experiment-trial-component",
    lower_arn=False,
    exists="TrialComponent names must be unique within an AWS account and region. TrialComponent with name ({name}) already exists.",
    filters={"ExperimentName": "Parents.ExperimentName", "TrialName": PARENT_TRIAL, "SourceArn": "Source.SourceArn"},
    summary={"TrialComponentSource": "Source"},
    indexed=_indexed,
    derives=(),
)


def trials_of(row: Row) -> list[str]:
    """Return the names of the trials that a component belongs to."""
    return [parent["TrialName"] for parent in row.document.get("Parents", ())]


@operation("CreateTrialComponent")
def create_trial_component(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a component. ValidationException for a taken name, or a parameter of two types."""
    _check(request)
    name = request["TrialComponentName"]
    group = arns.make("sagemaker", cx.region, cx.account, LINEAGE_GROUP)
    document = {"DisplayName": name, **request, "LineageGroupArn": group}
    row = COMPONENT.insert(cx, name, document, tag_list=request.get("Tags"))
    return {"TrialComponentArn": row.arn}


@operation("DescribeTrialComponent")
def describe_trial_component(cx: Context, request: dict[str, Any]) -> bytes:
    """Return a component by its name or ARN, without its trials."""
    document = COMPONENT.named(cx, request).document
    return orjson.dumps({k: v for k, v in document.items() if k != "Parents"})


@operation("UpdateTrialComponent")
def update_trial_component(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a component: maps are merged, and what is to be removed of them is."""
    row = COMPONENT.get(cx, request["TrialComponentName"])
    changed = {k: v for k, v in request.items() if k in {"DisplayName", "Status", "StartTime", "EndTime"}}
    for member in MAPS:
        merged = {**row.document.get(member, {}), **request.get(member, {})}
        for name in request.get(f"{member}ToRemove", ()):
            merged.pop(name, None)
        if merged or member in row.document:
            changed[member] = merged
    _check(changed)
    COMPONENT.update(cx, row, {**row.document, **changed})
    return {"TrialComponentArn": row.arn}


@operation("DeleteTrialComponent")
def delete_trial_component(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a component. ValidationException while it belongs to a trial."""
    row = COMPONENT.get(cx, request["TrialComponentName"])
    if trials_of(row):  # aws/sagemaker-python-sdk 1515
        raise errors.validation(f"TrialComponent '{row.arn}' is linked to 1 or more trials and cannot be deleted.")
    COMPONENT.delete(cx, row)
    return {"TrialComponentArn": row.arn}


def _check(members: Mapping[str, Any]) -> None:
    """Check what the model does not. Unverified: AWS's wording."""
    for member, most in MAPS.items():
        if len(members.get(member, ())) > most:
            raise errors.validation(f"A trial component may have at most {most} {member}.")
    for name, value in members.get("Parameters", {}).items():
        if len(value) != 1:  # a union in the API reference: TrialComponentParameterValue
            raise errors.validation(f"The parameter {name} must have either a StringValue or a NumberValue.")
