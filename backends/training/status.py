"""TrainingJob: its declaration, its legal moves, and its secondary statuses with their messages and times.

Source: shapes TrainingJobStatus, SecondaryStatus and SecondaryStatusTransition; messages as the SDK's log shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import events
from backends.core.lifecycle import transition
from backends.core.resource import resource
from backends.jobs.states import JOB_STATES, NAME_TAKEN

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

TRAINING_JOB = resource(
    "TrainingJob",
    arn_path="training-job",
    status_member="TrainingJobStatus",
    machine=JOB_STATES,
    exists=NAME_TAKEN,
    order="Ascending",
    pages_before_status=True,
    derives=("Describe", "List"),
    filters={
        "WarmPoolStatusEquals": "WarmPoolStatus.Status",
        "TrainingPlanArnEquals": "ResourceConfig.TrainingPlanArn",
    },
    indexed=lambda document: (
        (f"Metrics.{metric['MetricName']}", metric["Value"]) for metric in document.get("FinalMetricDataList", ())
    ),
)
MESSAGES = {
    "Starting": "Starting the training job",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Restarting": "Restarting the training job after an internal error",
}


def with_secondary(document: dict[str, Any], status: str, now: float, message: str = "") -> dict[str, Any]:
    """Return the document with another secondary status: the current transition ends, a new one begins. Pure."""
    passed = [dict(entry) for entry in document.get("SecondaryStatusTransitions", ())]
    if passed and "EndTime" not in passed[-1]:
        passed[-1]["EndTime"] = now
    entry: dict[str, Any] = {"Status": status, "StartTime": now, "StatusMessage": message or MESSAGES[status]}
    if status in {"Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"}:
        entry["EndTime"] = now
    return {**document, "SecondaryStatus": status, "SecondaryStatusTransitions": [*passed, entry]}


def advance(cx: Context, row: Row, status: str, message: str = "", **changes: Any) -> Row:
    """Move a running job to another secondary status, with its event."""
    if row.document["SecondaryStatus"] == status and not message:
        return row
    document = {**with_secondary(row.document, status, cx.clock.now(), message), **changes}
    old = row.document["SecondaryStatus"]
    row = TRAINING_JOB.update(cx, row, document)
    events.emit(cx, "TrainingJob.SecondaryStatus", row.arn, old, status, message or MESSAGES[status])
    return row


def finish(cx: Context, row: Row, status: str, secondary: str, reason: str = "", **changes: Any) -> Row:
    """Write a job's last status: times, durations and, for Failed, the reason."""
    now = cx.clock.now()
    document = with_secondary(row.document, secondary, now)
    began = document.get("TrainingStartTime")
    if began is not None:
        seconds = max(1, round(now - began))
        changes = {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds, **changes}
    changes = {"TrainingEndTime": now, **changes}
    kept = {name: document[name] for name in ("SecondaryStatus", "SecondaryStatusTransitions")}
    return transition(cx, TRAINING_JOB, row, status, reason, **kept, **changes)
