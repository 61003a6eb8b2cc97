"""ProcessingJob: its declaration and its legal moves (shape ProcessingJobStatus)."""

from __future__ import annotations

from backends.core.resource import resource
from backends.jobs.states import JOB_STATES, NAME_TAKEN

PROCESSING_JOB = resource(
    "ProcessingJob",
    arn_path="processing-job",
    status_member="ProcessingJobStatus",
    machine=JOB_STATES,
    exists=NAME_TAKEN,
    stopped="The request was rejected because the processing job is in status {status}.",  # Unverified: AWS's wording
    order="Ascending",
    derives=("Describe", "List", "Stop", "Delete"),
)
