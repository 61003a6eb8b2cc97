"""InferenceComponent, InferenceExperiment, InferenceRouter: what they answer until endpoints carry them."""

from __future__ import annotations

from backends.core.resource import resource

COMPONENT = resource(
    "InferenceComponent",
    arn_path="inference-component",
    awaits="inference components",
)
EXPERIMENT = resource(
    "InferenceExperiment",
    arn_path="inference-experiment",
    awaits="shadow variants",
)
ROUTER = resource("InferenceRouter", arn_path="inference-router", awaits="inference routers")
