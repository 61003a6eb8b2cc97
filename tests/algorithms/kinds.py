"""The kinds of `backends/algorithms`."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "Algorithm",
        request=lambda name, _: {
            "AlgorithmName": name,
            "TrainingSpecification": {
                "TrainingImage": "image:1",
                "SupportedTrainingInstanceTypes": ["ml.m5.large"],
                "TrainingChannels": [
                    {"Name": "train", "SupportedContentTypes": ["text/csv"], "SupportedInputModes": ["File"]}
                ],
            },
        },
    ),
)
