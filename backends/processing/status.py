"""ProcessingJob: its declaration and its legal moves (shape ProcessingJobStatus)."""

from __future__ import annotations

from backends.core.resource import resource
from backends.core.states import machine

PROCESSING_JOB = resource(
    "ProcessingJob",
    arn_path="processing-job",
    status_member="ProcessingJobStatus",
    machine=machine(
        InProgress={"Completed", "Failed", "Stopping", "Stopped"},
        Stopping={"Stopped", "Failed"},
    ),
    exists="Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
    stopped="The request was rejected because the processing job is in status {status}.",  # Unverified: AWS's wording
    order="Ascending",
    derives=("Describe", "List", "Stop", "Delete"),
)
