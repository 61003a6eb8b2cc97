"""Deployment plans: stages are started and stopped, agents fetch what is to be deployed and report what became of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.operation import operation
from backends.core.paging import binding_of, read_token, write_token
from backends.core.resource import resource
from backends.edge import stages
from backends.edge.devices import DEVICE
from backends.edge.fleets import FLEET
from backends.edge.packaging import PACKAGING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.core.context import Context
    from backends.core.rows import Row

PLAN = resource(
    "EdgeDeploymentPlan",
    arn_path="edge-deployment",
    exists="Edge deployment plan already exists: {arn}",  # Unverified
    sorts={"DEVICE_FLEET_NAME": "DeviceFleetName"},
    derives=("List",),
)
STAGES, PLANS = "stages", "plans"
MOST_STAGES_SHOWN, MOST_DEVICES_SHOWN = 10, 100


@operation("CreateEdgeDeploymentPlan", acts_on=("EdgeDeploymentPlan", "DeviceFleet"))
def create_edge_deployment_plan(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a plan. ValidationException for no fleet, a handle twice, or a packaging job that is not there."""
    fleet = FLEET.named(cx, request)
    models = request["ModelConfigs"]
    if len({model["ModelHandle"] for model in models}) != len(models):  # Unverified, as the others here: AWS's wording
        raise errors.validation("ModelHandle must be unique within ModelConfigs.")
    for model in models:
        if PACKAGING.find(cx, model["EdgePackagingJobName"]) is None:
            raise errors.validation(f"There is no edge packaging job {model['EdgePackagingJobName']}.")
    members = {**request, "DeviceFleetName": fleet.key, "Stages": stages.new(request.get("Stages", ()))}
    row = PLAN.insert(
        cx,
        request["EdgeDeploymentPlanName"],
        stages.shown(members, {}),
        hidden={STAGES: {}},
        tag_list=request.get("Tags"),
    )
    return {"EdgeDeploymentPlanArn": row.arn}


@operation("DescribeEdgeDeploymentPlan")
def describe_edge_deployment_plan(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a plan with a page of its stages."""
    document = PLAN.named(cx, request).document
    page, more = _page(cx, "DescribeEdgeDeploymentPlan", request, document["Stages"], MOST_STAGES_SHOWN)
    return {**document, "Stages": page, **more}


@operation("DeleteEdgeDeploymentPlan")
def delete_edge_deployment_plan(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a plan. ResourceInUse while one of its stages is active."""
    row = PLAN.named(cx, request)
    for stage in row.document["Stages"]:
        _check_inactive(stage)
    PLAN.delete(cx, row)
    return {}


@operation("CreateEdgeDeploymentStage", acts_on=("EdgeDeploymentPlan",))
def create_edge_deployment_stage(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add stages to a plan. ValidationException for a name that is taken, or more than ten."""
    row = _plan(cx, request)
    there = row.document["Stages"]
    PLAN.update(cx, row, {**row.document, "Stages": [*there, *stages.new(request["Stages"], there)]})
    return {}


@operation("DeleteEdgeDeploymentStage", acts_on=("EdgeDeploymentPlan",))
def delete_edge_deployment_stage(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a stage. ResourceInUse while it is active."""
    row = _plan(cx, request)
    stage = _stage(row, request)
    _check_inactive(stage)
    records = {name: record for name, record in row.hidden[STAGES].items() if name != stage["StageName"]}
    left = [each for each in row.document["Stages"] if each is not stage]
    _write(cx, row, {**row.document, "Stages": left}, records)
    return {}


@operation("StartEdgeDeploymentStage", acts_on=("EdgeDeploymentPlan",))
def start_edge_deployment_stage(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Have the stage's devices fetch the plan's models. ValidationException for an active stage, no device, or no package."""
    row = _plan(cx, request)
    stage = _stage(row, request)
    if stage["DeploymentStatus"]["StageStatus"] in stages.ACTIVE:
        raise errors.validation(f"Stage {stage['StageName']} is in status {stage['DeploymentStatus']['StageStatus']}.")
    for model in row.document["ModelConfigs"]:
        job = PACKAGING.get(cx, model["EdgePackagingJobName"])
        if job.status != "COMPLETED":
            raise errors.validation(f"The edge packaging job {job.key} is in status {job.status}, not COMPLETED.")
    devices = {each.document["DeviceName"]: each for each in DEVICE.children_of(cx, row.document["DeviceFleetName"])}
    names = stages.selected(stage["DeviceSelectionConfig"], devices)
    if not names:
        raise errors.validation(
            f"Stage {stage['StageName']} selects no device of fleet {row.document['DeviceFleetName']}."
        )
    for name in names:
        known = {*devices[name].hidden.get(PLANS, ()), row.key}
        DEVICE.update(cx, devices[name], devices[name].document, hidden={**devices[name].hidden, PLANS: sorted(known)})
    record = {
        "deployment": f"{row.key[:40].rstrip('-')}-{secrets.token_hex(8)}",
        "started": cx.clock.now(),
        "devices": {name: {"status": stages.READY} for name in names},
    }
    _write(cx, row, row.document, {**row.hidden[STAGES], stage["StageName"]: record})
    return {}


@operation("StopEdgeDeploymentStage", acts_on=("EdgeDeploymentPlan",))
def stop_edge_deployment_stage(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop what a stage's devices have not finished. ValidationException for a stage that is not active."""
    row = _plan(cx, request)
    stage = _stage(row, request)
    if stage["DeploymentStatus"]["StageStatus"] not in stages.ACTIVE:
        raise errors.validation(f"Stage {stage['StageName']} is in status {stage['DeploymentStatus']['StageStatus']}.")
    record = row.hidden[STAGES][stage["StageName"]]
    devices = {
        name: {**state, "status": "STOPPED"} if state["status"] in stages.PENDING else state
        for name, state in record["devices"].items()
    }
    _write(cx, row, row.document, {**row.hidden[STAGES], stage["StageName"]: {**record, "devices": devices}})
    return {}


@operation("ListStageDevices", acts_on=("EdgeDeploymentPlan",), reads=True)
def list_stage_devices(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the devices of a stage: those it was started for, or would be."""
    row = _plan(cx, request)
    stage, records = _stage(row, request), row.hidden[STAGES]
    name, fleet = stage["StageName"], row.document["DeviceFleetName"]
    known = {each.document["DeviceName"]: each for each in DEVICE.children_of(cx, fleet)}
    states = records[name]["devices"] if name in records else {}
    chosen = states or stages.selected(stage["DeviceSelectionConfig"], known)
    deployed = {
        device: other
        for other, record in records.items()
        for device, state in record["devices"].items()
        if state["status"] == "DEPLOYED"
    }
    names = [device for device in chosen if device in known]
    if request.get("ExcludeDevicesDeployedInOtherStage"):
        names = [device for device in names if deployed.get(device, name) == name]
    page, more = _page(cx, "ListStageDevices", request, names, MOST_DEVICES_SHOWN)
    shown = [_summary(row, name, known[each], states.get(each, {}), deployed.get(each)) for each in page]
    return {"DeviceDeploymentSummaries": shown, **more}


def _summary(plan: Row, stage: str, device: Row, state: Mapping[str, Any], deployed: str | None) -> dict[str, Any]:
    members = {
        "EdgeDeploymentPlanArn": plan.arn,
        "EdgeDeploymentPlanName": plan.key,
        "StageName": stage,
        "DeployedStageName": deployed,
        "DeviceFleetName": plan.document["DeviceFleetName"],
        "DeviceName": device.document["DeviceName"],
        "DeviceArn": device.arn,
        "DeviceDeploymentStatus": state.get("status", stages.READY),
        "DeviceDeploymentStatusMessage": state.get("message"),
        "Description": device.document.get("Description"),
        "DeploymentStartTime": state.get("began"),
    }
    return {name: value for name, value in members.items() if value is not None}


# -- what agents do


def deployments_of(cx: Context, device: Row) -> list[dict[str, Any]]:
    """Return what a device is to deploy, and write down that it has begun to."""
    name, made = device.document["DeviceName"], []
    for plan in _plans_of(cx, device):
        records = dict(plan.hidden[STAGES])
        policies = {s["StageName"]: s["DeploymentConfig"]["FailureHandlingPolicy"] for s in plan.document["Stages"]}
        for stage, record in plan.hidden[STAGES].items():
            state = record["devices"].get(name)
            if state is None or state["status"] not in stages.PENDING:
                continue
            begun = {"began": cx.clock.now(), **state, "status": "INPROGRESS"}
            records[stage] = {**record, "devices": {**record["devices"], name: begun}}
            definitions = [_definition(cx, model) for model in plan.document["ModelConfigs"]]
            made.append(
                {
                    "DeploymentName": record["deployment"],
                    "Type": "Model",
                    "FailureHandlingPolicy": policies[stage],
                    "Definitions": definitions,
                }
            )
        if records != plan.hidden[STAGES]:
            _write(cx, plan, plan.document, records)
    return made


def report(cx: Context, device: Row, result: Mapping[str, Any]) -> None:
    """Write down what an agent says of a deployment; one that is not its device's is nothing."""
    name = device.document["DeviceName"]
    for plan in _plans_of(cx, device):
        for stage, record in plan.hidden[STAGES].items():
            state = record["devices"].get(name)
            if state is None or record["deployment"] != result.get("DeploymentName"):
                continue
            devices = {**record["devices"], name: stages.reported(state, result)}
            _write(cx, plan, plan.document, {**plan.hidden[STAGES], stage: {**record, "devices": devices}})
            return


def _plans_of(cx: Context, device: Row) -> list[Row]:
    plans = (PLAN.find(cx, key) for key in device.hidden.get(PLANS, ()))
    return [plan for plan in plans if plan is not None]


def _definition(cx: Context, model: Mapping[str, str]) -> dict[str, Any]:
    job = PACKAGING.get(cx, model["EdgePackagingJobName"])
    return {
        "ModelHandle": model["ModelHandle"],
        "S3Url": job.document["ModelArtifact"],
        "Checksum": {"Type": "SHA1", "Sum": job.hidden["sha1"]},
        "State": "DEPLOY",
    }


# -- what they share


def _plan(cx: Context, request: Mapping[str, Any]) -> Row:
    """Return the plan of a stage; these operations declare no ResourceNotFound."""
    row = PLAN.find(cx, request["EdgeDeploymentPlanName"])
    if row is None:
        raise errors.validation(PLAN.not_found(cx, request["EdgeDeploymentPlanName"]).message)
    return row


def _stage(plan: Row, request: Mapping[str, Any]) -> dict[str, Any]:
    stage: dict[str, Any]
    for stage in plan.document["Stages"]:
        if stage["StageName"] == request["StageName"]:
            return stage
    raise errors.validation(f"Edge deployment plan {plan.key} has no stage {request['StageName']}.")


def _check_inactive(stage: Mapping[str, Any]) -> None:
    status = stage["DeploymentStatus"]["StageStatus"]
    if status in stages.ACTIVE:
        raise errors.in_use(f"Stage {stage['StageName']} is in status {status} and cannot be deleted.")


def _write(cx: Context, plan: Row, document: Mapping[str, Any], records: Mapping[str, Any]) -> None:
    PLAN.update(cx, plan, stages.shown(document, records), hidden={**plan.hidden, STAGES: dict(records)})


def _page(
    cx: Context, name: str, request: Mapping[str, Any], items: Sequence[Any], size: int
) -> tuple[list[Any], dict[str, str]]:
    """Return a page of what stands in a document, and the token of the next one."""
    binding = binding_of(name, request)
    first = int(read_token(cx, request["NextToken"], binding)[0]) if "NextToken" in request else 0
    last = first + max(1, request.get("MaxResults", size))
    return list(items[first:last]), {"NextToken": write_token(cx, [last], binding)} if last < len(items) else {}
