"""HyperParameterTuningJob: its declaration and its operations. Create checks what the model cannot."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from backends.core import errors, parents
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.tuning import autotune, children, definitions, limits, warm_start
from backends.tuning.progress import shown
from backends.tuning.step import begin
from backends.tuning.summaries import OBJECTIVE_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

JOB = resource(
    "HyperParameterTuningJob",
    arn_path="hyper-parameter-tuning-job",
    status_member="HyperParameterTuningJobStatus",
    machine=machine(
        InProgress={"Completed", "Failed", "Stopping", "Stopped"}, Stopping={"Stopped", "Completed", "Failed"}
    ),
    exists="A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
    summary={
        "Strategy": "HyperParameterTuningJobConfig.Strategy",
        "ResourceLimits": "HyperParameterTuningJobConfig.ResourceLimits",
    },
    derives=("Describe", "List", "Stop"),
)
ENDED = {"Completed", "Failed", "Stopped"}


@operation("CreateHyperParameterTuningJob")
def create_hyper_parameter_tuning_job(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Accept a search; its training jobs are made one after the other from the event this writes.

    ValidationException for ranges, limits and training jobs that cannot work, ResourceLimitExceeded for too many jobs.
    """
    name = request["HyperParameterTuningJobName"]
    JOB.check_free(cx, name)
    request = autotune.filled(cx, request)
    config = request["HyperParameterTuningJobConfig"]
    searched = definitions.of_request(request)
    limits.check(request, searched)
    early = limits.early_of(config)
    searched = limits.with_strategy(config, searched)
    for definition in searched:
        definitions.rehearse(cx, definition, name)
    now, arn = cx.clock.now(), JOB.arn_of(cx, name)
    runtime = config["ResourceLimits"].get("MaxRuntimeInSeconds")
    criteria = config.get("TuningJobCompletionCriteria", {})
    state = begin({
        "name": name,
        "arn": arn,
        "nonce": secrets.token_hex(8),
        "seed": str(config.get("RandomSeed", secrets.token_hex(8))),
        "strategy": config["Strategy"],
        "parallel": config["ResourceLimits"]["MaxParallelTrainingJobs"],
        "limit": limits.jobs_of(config, searched),
        "created": now,
        "deadline": None if runtime is None else now + runtime,
        "target": criteria.get("TargetObjectiveMetricValue"),
        "patience": criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
        "converges": criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled",
        "early": early,
        "tags": request.get("Tags", []),
        "definitions": searched,
        **warm_start.of_request(cx, JOB, request, searched),
    })  # fmt: skip
    known = [
        {key: each[key] for key in ("name", "metric", "type", "ranges", "static", "size") if key in each}
        for each in searched
    ]
    document = {**_as_shown(request), **shown(state, now)}
    row = JOB.insert(
        cx, name, document, status="InProgress", hidden={"definitions": known}, tag_list=request.get("Tags")
    )
    parents.begin(cx, JOB, row.arn, state)
    return {"HyperParameterTuningJobArn": row.arn}


def _as_shown(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the defaults that Describe shows."""
    document = dict(request)
    document["HyperParameterTuningJobConfig"] = {
        "TrainingJobEarlyStoppingType": "Off", **request["HyperParameterTuningJobConfig"]
    }  # fmt: skip
    if "TrainingJobDefinition" in request:
        metric = definitions.of_request(request)[0]["metric"]
        document["TrainingJobDefinition"] = _defined(request["TrainingJobDefinition"], metric)
    if "TrainingJobDefinitions" in request:
        document["TrainingJobDefinitions"] = [
            _defined(definition, definition["TuningObjective"]["MetricName"])
            for definition in request["TrainingJobDefinitions"]
        ]
    return document


def _defined(definition: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return a definition as Describe shows it: the service's own parameter stands among the static ones, one instance type in both forms.

    SDK v2's tuner is created with the one form, HyperParameterTuningResourceConfig, and its attach reads the other, ResourceConfig.
    """
    static = {**definition.get("StaticHyperParameters", {}), OBJECTIVE_PARAMETER: metric}
    defined = {**definition, "StaticHyperParameters": static}
    if "InstanceConfigs" not in definition.get("HyperParameterTuningResourceConfig", {}):
        defined["ResourceConfig"] = definitions.resources_of(definition)[0]
    return defined


@operation("DeleteHyperParameterTuningJob")
def delete_hyper_parameter_tuning_job(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a search that has ended; its training jobs stay. One that is not there is deleted already."""
    row = JOB.find(cx, request["HyperParameterTuningJobName"])
    if row is None:
        return {}
    if row.status not in ENDED:  # Unverified: AWS's wording
        raise errors.validation(f"The tuning job {row.arn} is in status {row.status} and cannot be deleted.")
    JOB.delete(cx, row)
    return {}


@operation("ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the training jobs of a search. ResourceNotFound."""
    return children.page(cx, JOB.get(cx, request["HyperParameterTuningJobName"]), request)
