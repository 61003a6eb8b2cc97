"""What the nouns of jobs that run once, and of services, have in common: their legal moves, and AWS's sentence for a taken name."""

from __future__ import annotations

from backends.core.states import machine

JOB_STATES = machine(
    InProgress={"Completed", "Failed", "Stopping", "Stopped"},
    Stopping={"Stopped", "Failed"},
)
SERVICE_STATES = machine(
    Pending={"InService", "Failed", "Stopping", "Deleting"},
    InService={"Stopping", "Failed", "Deleting"},
    Stopping={"Stopped"},
    Stopped={"Pending", "Deleting"},
    Failed={"Pending", "Deleting"},
)
NAME_TAKEN = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
