"""The kinds of `backends/pipelines`."""

from __future__ import annotations

import json

from tests.life.kind import ROLE, Kind

EMPTY = json.dumps({"Version": "2020-12-01", "Steps": []})
ONE_STEP = json.dumps(
    {"Version": "2020-12-01", "Steps": [{"Name": "s", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}]}
)

KINDS = (
    Kind(
        "Pipeline",
        request=lambda name, _: {
            "PipelineName": name,
            "PipelineDefinition": EMPTY,
            "RoleArn": ROLE,
        },
        update={"PipelineDefinition": ONE_STEP, "PipelineDescription": "one step"},
        found_by="PipelineName",
    ),
)
