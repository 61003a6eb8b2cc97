"""The kinds of `backends/endpoints` that nothing runs for; endpoints have a life of their own (`test_lifecycle.py`)."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "EndpointConfig",
        parent="Model",
        request=lambda name, model: {
            "EndpointConfigName": name,
            "ProductionVariants": [
                {
                    "VariantName": "v",
                    "ModelName": model["ModelName"],
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                }
            ],
        },
        unlike=frozenset({"ProductionVariants"}),
    ),
)
