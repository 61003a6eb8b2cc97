"""What the nouns of jobs that run once have in common: their legal moves, and AWS's sentence for a name that is taken."""

from __future__ import annotations

from backends.core.states import machine

JOB_STATES = machine(
    InProgress={"Completed", "Failed", "Stopping", "Stopped"},
    Stopping={"Stopped", "Failed"},
)
NAME_TAKEN = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
