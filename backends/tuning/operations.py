"""HyperParameterTuningJob: what it answers until its engine is there."""

from __future__ import annotations

from backends.core.resource import resource

JOB = resource(
    "HyperParameterTuningJob",
    arn_path="hyper-parameter-tuning-job",
    awaits="tuning",
)
