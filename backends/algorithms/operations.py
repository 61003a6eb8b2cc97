"""Algorithm: Create with its checks, and the training job that validates one. The other verbs are derived."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from backends.core import errors, parents
from backends.core.commands import Call, End, Move
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.commands import Command, Happened, State
    from backends.core.context import Context

ALGORITHM = resource(
    "Algorithm",
    arn_path="algorithm",
    status_member="AlgorithmStatus",
    machine=machine(Pending={"InProgress", "Failed"}, InProgress={"Completed", "Failed"}),
    exists="Algorithm already exists: {arn}",  # Unverified
    order="Ascending",
)
DETAILS = "AlgorithmStatusDetails"
LATER = {
    "TrainingImageDigest": "algorithms pinned to an image digest (TrainingImageDigest)",
    "AdditionalS3DataSource": "additional data sources of algorithms (AdditionalS3DataSource)",
}
RANGES = {
    "Integer": "IntegerParameterRangeSpecification",
    "Continuous": "ContinuousParameterRangeSpecification",
    "Categorical": "CategoricalParameterRangeSpecification",
}
SUFFIX_BYTES, MOST_NAME = 4, 54


@operation("CreateAlgorithm")
def create_algorithm(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store an algorithm, and begin its validation where that is asked for. ValidationException for a taken name or a contradiction."""
    ALGORITHM.check_free(cx, request["AlgorithmName"])
    if request.get("CertifyForMarketplace"):
        raise errors.not_implemented("certification for AWS Marketplace (CertifyForMarketplace)")
    _check_training(request["TrainingSpecification"])
    profile = next(iter(request.get("ValidationSpecification", {}).get("ValidationProfiles", ())), None)
    if profile is not None and "TransformJobDefinition" in profile:
        raise errors.not_implemented("the transform job of an algorithm's validation (TransformJobDefinition)")
    nothing: list[Any] = []
    statuses = [{"Name": profile["ProfileName"], "Status": "NotStarted"}] if profile is not None else nothing
    details = {"ValidationStatuses": statuses, "ImageScanStatuses": nothing}
    row = ALGORITHM.insert(
        cx,
        request["AlgorithmName"],
        {"CertifyForMarketplace": False, **request, DETAILS: details},
        status="Completed" if profile is None else "Pending",
        tag_list=request.get("Tags"),
    )
    if profile is not None:
        name = f"{row.key[:MOST_NAME].rstrip('-')}-{secrets.token_hex(SUFFIX_BYTES)}"  # Unverified: AWS's name of it
        role = request["ValidationSpecification"]["ValidationRole"]
        parents.begin(cx, ALGORITHM, row.arn, {"job": _job(name, row.arn, role, profile), "details": details})
    return {"AlgorithmArn": row.arn}


def _job(name: str, algorithm: str, role: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request of the training job that a profile defines."""
    definition = dict(profile["TrainingJobDefinition"])
    named = {"AlgorithmName": algorithm, "TrainingInputMode": definition.pop("TrainingInputMode")}
    return {"TrainingJobName": name, "RoleArn": role, "AlgorithmSpecification": named, **definition}


@parents.waits(ALGORITHM, children=("TrainingJob",), role_member="ValidationSpecification.ValidationRole")
def step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Run the training job of the profile; the algorithm is what becomes of it."""
    match happened.what, happened.status:
        case "begun", _:
            going = Move("InProgress", changes=_shown(state, "InProgress"))
            return state, [going, Call("CreateTrainingJob", state["job"])]
        case "child", "Completed":
            return state, [Move("Completed", changes=_shown(state, "Completed")), End()]
        case ("refused", _) | ("child", "Failed" | "Stopped"):
            reason = happened.reason or f"The training job {state['job']['TrainingJobName']} was stopped."
            return state, [Move("Failed", reason, _shown(state, "Failed", FailureReason=reason)), End()]
    return state, []


def _shown(state: State, status: str, **more: str) -> dict[str, Any]:
    (profile,) = state["details"]["ValidationStatuses"]
    return {DETAILS: {**state["details"], "ValidationStatuses": [{**profile, "Status": status, **more}]}}


def _check_training(training: Mapping[str, Any]) -> None:
    """Check what the model cannot of a TrainingSpecification. Unverified: AWS's wordings."""
    for member, what in LATER.items():
        if training.get(member):
            raise errors.not_implemented(what)
    parameters = training.get("SupportedHyperParameters", ())
    metrics = [metric["Name"] for metric in training.get("MetricDefinitions", ())]
    _check_unique("SupportedHyperParameters", (parameter["Name"] for parameter in parameters))
    _check_unique("TrainingChannels", (channel["Name"] for channel in training["TrainingChannels"]))
    _check_unique("MetricDefinitions", metrics)
    for parameter in parameters:
        _check_parameter(parameter)
    for objective in training.get("SupportedTuningJobObjectiveMetrics", ()):
        if objective["MetricName"] not in metrics:
            raise errors.validation(f"Objective metric {objective['MetricName']} is not among MetricDefinitions.")


def _check_unique(member: str, names: Iterable[str]) -> None:
    listed = list(names)
    if len(set(listed)) != len(listed):
        raise errors.validation(f"Names in {member} must be unique.")


def _check_parameter(parameter: Mapping[str, Any]) -> None:
    name, given = parameter["Name"], parameter.get("Range", {})
    if parameter.get("IsRequired") and "DefaultValue" in parameter:  # shape HyperParameterSpecification
        raise errors.validation(f"Hyperparameter {name} has a DefaultValue and cannot be required.")
    if given.keys() - {RANGES.get(parameter["Type"], "")}:
        raise errors.validation(f"The range of hyperparameter {name} is not one of its type, {parameter['Type']}.")
