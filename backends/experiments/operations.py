"""Experiments and trials. Describe, Update and ListExperiments are derived; what is in use refuses its deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, listing, rows
from backends.core.operation import operation
from backends.core.resource import resource
from backends.experiments.components import COMPONENT, PARENT_TRIAL, trials_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

TAKEN = "{noun} names must be unique within an AWS account and region. {noun} with name ({name}) already exists."
EXPERIMENT = resource(
    "Experiment",
    arn_path="experiment",
    lower_arn=False,
    exists=TAKEN,
    summary={"ExperimentSource": "Source"},
    derives=("Describe", "Update", "List"),
)
TRIAL = resource(
    "Trial",
    arn_path="experiment-trial",
    lower_arn=False,
    exists=TAKEN,
    filters={"TrialComponentName": ""},
    summary={"TrialSource": "Source"},
    derives=("Describe", "Update"),
)


@operation("CreateExperiment")
def create_experiment(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an experiment. ValidationException for a taken name."""
    name = request["ExperimentName"]
    row = EXPERIMENT.insert(cx, name, {"DisplayName": name, **request}, tag_list=request.get("Tags"))
    return {"ExperimentArn": row.arn}


@operation("DeleteExperiment")
def delete_experiment(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an experiment. ValidationException while it has trials."""
    row = EXPERIMENT.get(cx, request["ExperimentName"])
    _check_unused(row, "Experiment", rows.first_with(cx, "Trial", "ExperimentName", row.key), "trials")
    EXPERIMENT.delete(cx, row)
    return {"ExperimentArn": row.arn}


@operation("CreateTrial", acts_on=("Trial", "Experiment"))
def create_trial(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a trial of an experiment. ResourceNotFound without the experiment, ValidationException for a taken name."""
    EXPERIMENT.get(cx, request["ExperimentName"])
    name = request["TrialName"]
    row = TRIAL.insert(cx, name, {"DisplayName": name, **request}, tag_list=request.get("Tags"))
    return {"TrialArn": row.arn}


@operation("DeleteTrial")
def delete_trial(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a trial. ValidationException while components belong to it."""
    row = TRIAL.get(cx, request["TrialName"])
    _check_unused(row, "Trial", rows.first_with(cx, "TrialComponent", PARENT_TRIAL, row.key), "trial components")
    TRIAL.delete(cx, row)
    return {"TrialArn": row.arn}


def _check_unused(row: Row, noun: str, user: Row | None, users: str) -> None:
    if user is not None:  # aws/sagemaker-python-sdk 1515 has the sentence of a trial component; these two unverified
        raise errors.validation(f"{noun} '{row.arn}' is linked to 1 or more {users} and cannot be deleted.")


@operation("ListTrials")
def list_trials(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of trials, of an experiment or of a component. ResourceNotFound where there is no such."""
    among = None
    if "ExperimentName" in request:
        EXPERIMENT.get(cx, request["ExperimentName"])
    if "TrialComponentName" in request:
        among = trials_of(COMPONENT.get(cx, request["TrialComponentName"]))
    return listing.page(TRIAL, cx, request, among)


@operation("ListTrialComponents")
def list_trial_components(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of components, of an experiment, a trial or a source. ResourceNotFound where there is no such."""
    given = [member for member in ("ExperimentName", "TrialName", "SourceArn") if member in request]
    if len(given) > 1:  # API reference of ListTrialComponents. Unverified: AWS's wording
        raise errors.validation(f"Only one of ExperimentName, TrialName and SourceArn may be given, not {given}.")
    for parent in (EXPERIMENT, TRIAL):
        if parent.name_member in request:
            parent.get(cx, request[parent.name_member])
    return listing.page(COMPONENT, cx, request)


@operation("AssociateTrialComponent", acts_on=("Trial", "TrialComponent"))
def associate_trial_component(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add a component to a trial; once more changes nothing. ResourceNotFound where one of them is not there."""
    trial, component = TRIAL.get(cx, request["TrialName"]), COMPONENT.get(cx, request["TrialComponentName"])
    if trial.key not in trials_of(component):
        parent = {"TrialName": trial.key, "ExperimentName": trial.document["ExperimentName"]}
        _write_parents(cx, component, [*component.document.get("Parents", ()), parent])
    return {"TrialComponentArn": component.arn, "TrialArn": trial.arn}


@operation("DisassociateTrialComponent", acts_on=("Trial", "TrialComponent"))
def disassociate_trial_component(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a component out of a trial. ResourceNotFound where one of them is not there.

    Unverified: that one which does not belong to the trial is no error.
    """
    trial, component = TRIAL.get(cx, request["TrialName"]), COMPONENT.get(cx, request["TrialComponentName"])
    if trial.key in trials_of(component):
        _write_parents(cx, component, [p for p in component.document["Parents"] if p["TrialName"] != trial.key])
    return {"TrialComponentArn": component.arn, "TrialArn": trial.arn}


def _write_parents(cx: Context, component: Row, parents: list[Mapping[str, Any]]) -> None:
    document = {k: v for k, v in component.document.items() if k != "Parents"}
    COMPONENT.update(cx, component, {**document, "Parents": parents} if parents else document)
