"""Packaging jobs and deployment plans: what they answer until models are packaged."""

from __future__ import annotations

from backends.core.resource import resource

PACKAGING = resource(
    "EdgePackagingJob",
    arn_path="edge-packaging-job",
    awaits="edge packaging",
)
PLAN = resource(
    "EdgeDeploymentPlan",
    arn_path="edge-deployment",
    awaits="edge packaging",
)
