"""ProcessingJob: its declaration and its legal moves (shape ProcessingJobStatus)."""

from __future__ import annotations

from backends.core.lifecycle import machine
from backends.core.resource import resource

PROCESSING_JOB = resource(
    "ProcessingJob",
    arn_path="processing-job",
    status_member="ProcessingJobStatus",
    machine=machine(
        InProgress={"Completed", "Failed", "Stopping", "Stopped"},
        Stopping={"Stopped", "Failed"},
    ),
    exists="Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
    order="Ascending",
    derives=("Describe", "List"),
)
