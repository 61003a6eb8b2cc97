"""TransformJob: what it answers until its engine is there."""

from __future__ import annotations

from backends.core.resource import resource

JOB = resource("TransformJob", arn_path="transform-job", awaits="batch transform")
