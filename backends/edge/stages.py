"""The stages of a deployment plan: which devices they select, what has become of each, and what a report of an agent changes. Pure.

A stage is an entry of the plan's Stages as Describe shows it, and a record of what it has deployed (`Record`): `deployment`, the
name that agents know it by, and `devices`, the state of each by its name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Record = dict[str, Any]

MOST_STAGES = 10
READY, ACTIVE, PENDING = "READYTODEPLOY", ("STARTING", "INPROGRESS", "STOPPING"), ("READYTODEPLOY", "INPROGRESS")
GIVEN = {"PERCENTAGE": "Percentage", "SELECTION": "DeviceNames", "NAMECONTAINS": "DeviceNameContains"}
COUNTS = {
    "EdgeDeploymentSuccess": ("DEPLOYED",),
    "EdgeDeploymentPending": PENDING,
    "EdgeDeploymentFailed": ("FAILED", "STOPPED"),
}
# Unverified: the words of an agent; the model says of DeploymentStatus only that it is a text.
GOOD, BAD = {"SUCCESS", "SUCCEEDED", "DEPLOYED"}, {"FAIL", "FAILED", "FAILURE"}


def new(given: Iterable[Mapping[str, Any]], there: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return stages of a request as they begin. ValidationException for a name twice, too many, or a selection of nothing."""
    stages = [
        {
            "DeploymentConfig": {"FailureHandlingPolicy": "ROLLBACK_ON_FAILURE"},
            **stage,
            "DeploymentStatus": {"StageStatus": READY, **counts({}, "InStage")},
        }
        for stage in given
    ]
    names = [stage["StageName"] for stage in (*there, *stages)]
    if len(set(names)) != len(names):  # Unverified, as the others here: AWS's wording
        raise errors.validation("StageName must be unique within an edge deployment plan.")
    if len(names) > MOST_STAGES:
        raise errors.validation(f"An edge deployment plan can have at most {MOST_STAGES} stages.")
    for stage in stages:
        selection = stage["DeviceSelectionConfig"]
        member = GIVEN[selection["DeviceSubsetType"]]
        if not selection.get(member):
            raise errors.validation(f"DeviceSubsetType {selection['DeviceSubsetType']} needs {member}.")
    return stages


def selected(selection: Mapping[str, Any], devices: Iterable[str]) -> list[str]:
    """Return the devices that a stage selects, of a fleet's, in the order of their names. Of a percentage, the first."""
    names = sorted(devices)
    match selection["DeviceSubsetType"]:
        case "PERCENTAGE":
            return names[: math.ceil(len(names) * selection["Percentage"] / 100)]
        case "SELECTION":
            return [name for name in names if name in set(selection["DeviceNames"])]
    return [name for name in names if selection["DeviceNameContains"] in name]


def counts(devices: Mapping[str, Mapping[str, Any]], suffix: str = "") -> dict[str, int]:
    """Count devices by what has become of them."""
    states = [device["status"] for device in devices.values()]
    return {f"{name}{suffix}": sum(state in among for state in states) for name, among in COUNTS.items()}


def status_of(record: Record) -> str:
    """Return the status of a stage that was started: in progress while a device is, then deployed or failed."""
    states = {device["status"] for device in record["devices"].values()}
    if states & set(PENDING):
        return "INPROGRESS"
    if "FAILED" in states:
        return "FAILED"
    return "STOPPED" if "STOPPED" in states else "DEPLOYED"


def shown(document: Mapping[str, Any], records: Mapping[str, Record]) -> dict[str, Any]:
    """Return a plan's document with the statuses and counts that its records come to."""
    stages = []
    for stage in document["Stages"]:
        if (record := records.get(stage["StageName"])) is None:
            stages.append(stage)
            continue
        status = {"StageStatus": status_of(record), **counts(record["devices"], "InStage")}
        stages.append({**stage, "DeploymentStatus": {**status, "EdgeDeploymentStageStartTime": record["started"]}})
    totals = [counts(records[stage["StageName"]]["devices"]) for stage in stages if stage["StageName"] in records]
    return {**document, "Stages": stages, **{name: sum(total[name] for total in totals) for name in COUNTS}}


def reported(state: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a device's state after its agent's report of a deployment; what has ended stays as it is."""
    if state["status"] not in PENDING:
        return dict(state)
    models = {model.get("Status") for model in result.get("DeploymentModels", ())}
    word = str(result.get("DeploymentStatus", "")).upper()
    if word in BAD or "FAIL" in models:
        reasons = [
            str(model["StatusReason"]) for model in result.get("DeploymentModels", ()) if "StatusReason" in model
        ]
        message = result.get("DeploymentStatusMessage") or "; ".join(reasons)
        return {**state, "status": "FAILED", **({"message": message} if message else {})}
    if word in GOOD or models == {"SUCCESS"}:
        return {**state, "status": "DEPLOYED"}
    return {**state, "status": "INPROGRESS"}
