"""Executions of pipelines: started, looked at, stopped, begun again; and the callbacks of their steps."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.core import errors, listing, parents
from backends.core.lifecycle import transition
from backends.core.listing import DEFAULT_PAGE
from backends.core.operation import operation
from backends.core.paging import binding_of, read_token, write_token
from backends.core.resource import resource
from backends.core.states import machine
from backends.core.tables import parents as waiting
from backends.core.tables import resources
from backends.pipelines import graph, parameters, selection, shown, step
from backends.pipelines.expressions import Scope, evaluate, text_of
from backends.pipelines.operations import PIPELINE, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

EXECUTION = resource(
    "PipelineExecution",
    arn_path="pipeline/{PipelineName}/execution/{PipelineExecutionId}",
    lower_arn=False,
    key=("PipelineName", "PipelineExecutionId"),
    parent=PIPELINE,
    status_member="PipelineExecutionStatus",
    machine=machine(
        Executing={"Stopping", "Stopped", "Failed", "Succeeded"},
        Stopping={"Stopped", "Failed", "Succeeded"},
        Failed={"Executing"},
        Stopped={"Executing"},
    ),
    filters={"PipelineVersionAlias": "PipelineVersionAliases"},
    sorts={"PipelineExecutionArn": "PipelineExecutionArn"},
    summary={"StartTime": "CreationTime", "PipelineExecutionFailureReason": "FailureReason"},
    derives=("Describe",),
)
LETTERS = string.ascii_lowercase + string.digits
LENGTH = 12
RUNNING = frozenset({"Executing", "Stopping"})
KEPT = ("PipelineExecutionDescription", "SelectiveExecutionConfig")


@operation("StartPipelineExecution", acts_on=("Pipeline",))
def start_pipeline_execution(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Begin to execute a pipeline, or a version of it. ValidationException for parameters or selected steps that cannot be."""
    pipeline = PIPELINE.named(cx, request)
    version = version_of(cx, pipeline, request)
    described = version.document
    text = described["PipelineDefinition"]
    definition = orjson.loads(text)
    name, code = pipeline.key, "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
    key = f"{name}/{code}"
    arn, now = EXECUTION.arn_of(cx, key), cx.clock.now()
    parallel = request.get("ParallelismConfiguration") or described.get("ParallelismConfiguration")
    steps = graph.in_order(graph.steps_of(definition))
    chosen = selection.of_request(cx, EXECUTION, pipeline, request, steps)
    values = parameters.values_of(
        definition.get("Parameters") or (), request.get("PipelineParameters", ()), chosen.parameters
    )
    execution = {
        "StartDateTime": shown.instant(now), "PipelineName": name, "PipelineArn": pipeline.arn, "PipelineExecutionId": code,
        "PipelineExecutionArn": arn,
    }  # fmt: skip
    role = request.get("RoleArn", described["RoleArn"])
    experiment = _experiment(definition, values, execution)
    document = {
        **{k: request[k] for k in KEPT if k in request},
        "PipelineArn": pipeline.arn,
        "PipelineExecutionDisplayName": request.get("PipelineExecutionDisplayName", f"execution-{int(now * 1000)}"),
        "PipelineVersionId": described["PipelineVersionId"],
        "RoleArn": role,
        **({"ParallelismConfiguration": parallel} if parallel else {}),
        **({"PipelineExperimentConfig": experiment} if experiment else {}),
        **({"PipelineVersionAliases": aliases} if (aliases := described.get("PipelineVersionAliases")) else {}),
    }
    row = EXECUTION.insert(cx, key, document, status="Executing", hidden={"definition": text})
    state = step.begin({
        "execution": execution, "parameters": values, "experiment": experiment, "steps": steps, "runs": chosen.runs,
        "parallel": (parallel or {}).get("MaxParallelExecutionSteps"), "role": role, "nonce": secrets.token_hex(8),
    })  # fmt: skip
    parents.begin(cx, EXECUTION, row.arn, state)
    return {"PipelineExecutionArn": row.arn}


def _experiment(
    definition: Mapping[str, Any], values: Mapping[str, Any], execution: Mapping[str, str]
) -> dict[str, Any]:
    """Return the experiment's settings; the service's own names where the definition says nothing, none where it says null."""
    declared = definition.get(
        "PipelineExperimentConfig",
        {"ExperimentName": {"Get": "Execution.PipelineName"}, "TrialName": {"Get": "Execution.PipelineExecutionId"}},
    )
    scope = Scope(values, {**execution, "CurrentDateTime": execution["StartDateTime"]}, {}, {}, {}, {})
    return dict(evaluate(declared or {}, scope))


@operation("ListPipelineExecutions")
def list_pipeline_executions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of a pipeline's executions. ResourceNotFound for a pipeline that is not there."""
    return listing.page(EXECUTION, cx, {**request, "PipelineName": PIPELINE.named(cx, request).key})


@operation("UpdatePipelineExecution")
def update_pipeline_execution(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Change an execution's name and description, and how many steps run at once from now on."""
    row = EXECUTION.named(cx, request)
    changes = {k: v for k, v in request.items() if k != "PipelineExecutionArn"}
    EXECUTION.update(cx, row, {**row.document, **changes})
    if "ParallelismConfiguration" in request:
        most = request["ParallelismConfiguration"]["MaxParallelExecutionSteps"]
        parents.answer(cx, row.arn, "parallel", {"most": most})
    return {"PipelineExecutionArn": row.arn}


@operation("StopPipelineExecution")
def stop_pipeline_execution(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Stop an execution: its jobs are stopped, its callbacks told. ConflictException for one that has ended."""
    row = EXECUTION.named(cx, request)
    if row.status not in RUNNING:  # Unverified: AWS's wording
        raise errors.conflict(f"Pipeline execution {row.arn} has ended: {row.status}.")
    if row.status == "Executing":
        transition(cx, EXECUTION, row, "Stopping")
    return {"PipelineExecutionArn": row.arn}


@operation("RetryPipelineExecution")
def retry_pipeline_execution(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Begin again the steps of an execution that have failed or were stopped. ConflictException for one that runs, has succeeded or was ended by a Fail step."""
    row = EXECUTION.named(cx, request)
    state = state_of(cx, row.arn)
    if row.status not in {"Failed", "Stopped"} or state["by_fail"]:  # Unverified: AWS's wording
        told = "was ended by a Fail step" if state["by_fail"] else f"is {row.status}"
        raise errors.conflict(f"Pipeline execution {row.arn} {told} and cannot be retried.")
    parallel = request.get("ParallelismConfiguration")
    parents.answer(
        cx, row.arn, "retry", {"most": parallel["MaxParallelExecutionSteps"]} if parallel is not None else {}
    )
    return {"PipelineExecutionArn": row.arn}


@operation("DescribePipelineDefinitionForExecution")
def describe_definition(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that an execution executes."""
    row = EXECUTION.named(cx, request)
    return {"PipelineDefinition": row.hidden["definition"], "CreationTime": row.created}


@operation("ListPipelineParametersForExecution")
def list_parameters(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an execution's parameters, the defaults among them."""
    values = state_of(cx, EXECUTION.named(cx, request).arn)["parameters"]
    every = [{"Name": name, "Value": text_of(value)} for name, value in values.items()]
    return _page(cx, "ListPipelineParametersForExecution", "PipelineParameters", every, request)


@operation("ListPipelineExecutionSteps")
def list_steps(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return an execution's steps that have begun, the latest first unless SortOrder says otherwise."""
    if "PipelineExecutionArn" not in request:  # optional in the model; Unverified: AWS's wording
        raise errors.validation("PipelineExecutionArn is required.")
    state = state_of(cx, EXECUTION.named(cx, request).arn)
    begun = [name for name, run in state["runs"].items() if run["status"]]
    every = sorted((shown.record_of(state, name) for name in begun), key=lambda each: each["StartTime"])
    if request.get("SortOrder", "Descending") == "Descending":
        every.reverse()
    return _page(cx, "ListPipelineExecutionSteps", "PipelineExecutionSteps", every, request)


def state_of(cx: Context, arn: str) -> dict[str, Any]:
    """Return the state of an execution."""
    state: dict[str, Any] = orjson.loads(
        cx.db.execute(select(waiting.c.state).where(waiting.c.arn == arn)).scalar_one()
    )
    return state


def _page(
    cx: Context, operation: str, member: str, every: list[dict[str, Any]], request: Mapping[str, Any]
) -> dict[str, Any]:
    binding = binding_of(operation, request)
    begin = read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else 0
    end = begin + request.get("MaxResults", DEFAULT_PAGE)
    answer: dict[str, Any] = {member: every[begin:end]}
    return answer | ({"NextToken": write_token(cx, [end], binding)} if end < len(every) else {})


@operation("SendPipelineExecutionStepSuccess", acts_on=("PipelineExecution",))
def send_success(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """End the callback step that a token was sent for, with its outputs."""
    return _end_callback(cx, request["CallbackToken"], {"outputs": request.get("OutputParameters", [])})


@operation("SendPipelineExecutionStepFailure", acts_on=("PipelineExecution",))
def send_failure(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Fail the callback step that a token was sent for."""
    return _end_callback(cx, request["CallbackToken"], {"error": request.get("FailureReason", "")})


def _end_callback(cx: Context, token: str, answer: dict[str, Any]) -> dict[str, str]:
    """Answer the step that waits for a token. ResourceNotFound for a token of none."""
    running = select(waiting.c.arn, waiting.c.state).where(
        waiting.c.kind == EXECUTION.noun,
        waiting.c.account == cx.account,
        waiting.c.region == cx.region,
        waiting.c.arn.in_(
            select(resources.c.arn).where(resources.c.kind == EXECUTION.noun, resources.c.status.in_(RUNNING))
        ),
    )
    for row in cx.db.execute(running).all():
        if token.encode() not in row.state:
            continue
        for name, run in orjson.loads(row.state)["runs"].items():
            if run.get("metadata", {}).get("CallbackToken") == token and run["status"] in step.ACTIVE:
                parents.answer(cx, row.arn, f"notify {name} {run['attempt']}", answer)
                return {"PipelineExecutionArn": row.arn}
    raise errors.AwsError("ResourceNotFound", "Requested resource not found.")  # Unverified: AWS's wording
