"""The kinds of `backends/recommender`."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "AIWorkloadConfig",
        request=lambda name, _: {
            "AIWorkloadConfigName": name,
            "AIWorkloadConfigs": {"WorkloadSpec": {"Inline": "concurrency: 1"}},
        },
    ),
)
