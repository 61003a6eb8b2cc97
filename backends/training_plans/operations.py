"""TrainingPlan: what it answers where there is no capacity to reserve."""

from __future__ import annotations

from backends.core.resource import resource

PLAN = resource("TrainingPlan", arn_path="training-plan", awaits="reserved capacity")
