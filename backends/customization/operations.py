"""Job and TrainingSession: what they answer until their engine is there."""

from __future__ import annotations

from backends.core.resource import resource

ENGINE = "model customization"

JOB = resource(
    "Job",
    arn_path="job/{JobCategory}/{JobName}",
    awaits=ENGINE,
)
SESSION = resource("TrainingSession", arn_path="training-session", awaits=ENGINE)
