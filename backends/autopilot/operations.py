"""AutoMLJob and AutoMLJobV2, one job seen in two ways: what they answer until their engine is there."""

from __future__ import annotations

from backends.core.resource import resource

ENGINE = "Autopilot"

JOB = resource("AutoMLJob", arn_path="automl-job", awaits=ENGINE)
JOB_V2 = resource("AutoMLJobV2", arn_path="automl-job", awaits=ENGINE, derives=("Describe",))
