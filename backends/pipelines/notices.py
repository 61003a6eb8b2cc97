"""EventBridge is told of executions and of their steps.

Source: developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge" (members as its examples have them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import other_services
from backends.core.events import on
from backends.core.resource import DELETED
from backends.pipelines.executions import EXECUTION
from backends.pipelines.shown import instant
from backends.pipelines.step import ACTIVE, STEP

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.events import Event

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
STEP_CHANGE = "SageMaker Model Building Pipeline Execution Step Status Change"


@on(EXECUTION.noun, name="pipelines.notify_of_executions")
def notify_of_execution(cx: Context, event: Event) -> None:
    """Send an execution's change of status."""
    row = EXECUTION.find_arn(cx, event.arn)
    if row is None or event.new == DELETED:
        return
    described = row.document
    detail: dict[str, Any] = {
        "pipelineExecutionDescription": described.get("PipelineExecutionDescription", ""),
        "pipelineExecutionDisplayName": described["PipelineExecutionDisplayName"],
        "currentPipelineExecutionStatus": event.new,
        "previousPipelineExecutionStatus": event.old or None,
        "executionStartTime": instant(row.created),
        "pipelineArn": described["PipelineArn"],
        "pipelineExecutionArn": event.arn,
    }
    if event.new in {"Succeeded", "Failed", "Stopped"}:
        detail["executionEndTime"] = instant(event.time)
    other_services.put_event(cx, event.arn, EXECUTION_CHANGE, detail)


@on(STEP, name="pipelines.notify_of_steps")
def notify_of_step(cx: Context, event: Event) -> None:
    """Send a step's change of status."""
    told = event.detail
    detail: dict[str, Any] = {
        "metadata": _begun_small(told["metadata"]),
        "stepName": told["step"],
        "stepType": told["type"],
        "previousStepStatus": event.old or None,
        "currentStepStatus": event.new,
        "stepStartTime": instant(told["start"]),
        "pipelineArn": event.arn.rpartition("/execution/")[0],
        "pipelineExecutionArn": event.arn,
    }
    if event.new not in ACTIVE:
        detail["stepEndTime"] = instant(told["end"])
    if event.reason:
        detail["failureReason"] = event.reason
    if told["cache_hit"]:
        detail["cacheHitResult"] = {"sourcePipelineExecutionArn": told["cache_hit"]}
    other_services.put_event(cx, event.arn, STEP_CHANGE, detail)


def _begun_small(value: Any) -> Any:
    """Return a value whose members begin with a small letter, as EventBridge's have it."""
    if isinstance(value, dict):
        return {f"{name[:1].lower()}{name[1:]}": _begun_small(inner) for name, inner in value.items()}
    return [_begun_small(each) for each in value] if isinstance(value, list) else value
