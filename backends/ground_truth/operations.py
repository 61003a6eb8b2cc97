"""Interfaces for workers and the definitions of human review; labeling jobs, of which there are none yet."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from backends.core import derived, errors
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.ground_truth.workforce import WORKTEAM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

HTML = "data:text/html;charset=utf-8;base64,"
ACTIVE = machine(Active=set())

UI = resource(
    "HumanTaskUi",
    arn_path="human-task-ui",
    status_member="HumanTaskUiStatus",
    machine=ACTIVE,
)
FLOW_DEFINITION = resource(
    "FlowDefinition",
    arn_path="flow-definition",
    status_member="FlowDefinitionStatus",
    machine=ACTIVE,
)
LABELING_JOB = resource("LabelingJob", arn_path="labeling-job", order="Ascending", awaits="Ground Truth labeling")


@operation("CreateHumanTaskUi")
def create_human_task_ui(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a template. ResourceInUse for a taken name."""
    content = request["UiTemplate"]["Content"].encode()
    template = {"Url": HTML + base64.b64encode(content).decode(), "ContentSha256": hashlib.sha256(content).hexdigest()}
    document = {**request, "UiTemplate": template}
    row = UI.insert(cx, request["HumanTaskUiName"], document, status="Active", tag_list=request.get("Tags"))
    return {"HumanTaskUiArn": row.arn}


def template_of(row: Row) -> str:
    """Return the template of an interface."""
    url: str = row.document["UiTemplate"]["Url"]
    return base64.b64decode(url.removeprefix(HTML)).decode()


@operation("CreateFlowDefinition")
def create_flow_definition(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a definition. ValidationException for conditions that are none, or a team or interface that is not there."""
    _check_activation(request)
    loop = request.get("HumanLoopConfig")
    if loop is not None:
        if ":workteam/public-crowd/" in loop["WorkteamArn"]:
            raise errors.not_implemented("the public workforce")
        for noun, member in ((WORKTEAM, "WorkteamArn"), (UI, "HumanTaskUiArn")):
            if noun.find_arn(cx, loop[member]) is None:  # Unverified, as the others here: AWS's wording
                raise errors.validation(f"{member} does not name an existing resource: {loop[member]}")
    name = request["FlowDefinitionName"]
    row = FLOW_DEFINITION.insert(cx, name, request, status="Active", tag_list=request.get("Tags"))
    return {"FlowDefinitionArn": row.arn}


def _check_activation(request: Mapping[str, Any]) -> None:
    activation = request.get("HumanLoopActivationConfig")
    if activation is None:
        return
    if "HumanLoopRequestSource" not in request:
        raise errors.validation("HumanLoopRequestSource is required with HumanLoopActivationConfig.")
    try:
        orjson.loads(activation["HumanLoopActivationConditionsConfig"]["HumanLoopActivationConditions"])
    except ValueError as error:
        raise errors.validation(f"HumanLoopActivationConditions must be JSON: {error}") from error


@operation("ListLabelingJobsForWorkteam", acts_on=("Workteam",))
def list_labeling_jobs_for_workteam(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page with nothing on it: no team has a job yet. ResourceNotFound without the team."""
    if WORKTEAM.find_arn(cx, request["WorkteamArn"]) is None:
        raise errors.not_found(WORKTEAM.not_found(cx, request["WorkteamArn"]).message)
    return derived.empty("ListLabelingJobsForWorkteam", cx, request)
