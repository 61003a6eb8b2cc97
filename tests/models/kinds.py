"""The kinds of `backends/models`."""

from __future__ import annotations

from tests.life.kind import ROLE, Kind

KINDS = (
    Kind(
        "Model",
        request=lambda name, _: {
            "ModelName": name,
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"Image": "image:1", "Mode": "SingleModel", "Environment": {"a": "b"}},
        },
        found_by="Model.ModelName",
    ),
)
