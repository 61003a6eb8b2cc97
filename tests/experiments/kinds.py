"""The kinds of `backends/experiments`."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "Experiment",
        request=lambda name, _: {"ExperimentName": name, "Description": "d", "Tags": [{"Key": "k", "Value": "v"}]},
        update={"Description": "other", "DisplayName": "shown"},
        found_by="ExperimentName",
        holds=True,
    ),
    Kind(
        "Trial",
        parent="Experiment",
        request=lambda name, experiment: {"TrialName": name, **experiment},
        update={"DisplayName": "shown"},
        found_by="TrialName",
    ),
    Kind(
        "TrialComponent",
        request=lambda name, _: {
            "TrialComponentName": name,
            "Status": {"PrimaryStatus": "InProgress", "Message": "m"},
            "Parameters": {"depth": {"NumberValue": 3.0}, "kind": {"StringValue": "tree"}},
            "InputArtifacts": {"data": {"Value": "s3://b/k", "MediaType": "text/csv"}},
        },
        update={"Status": {"PrimaryStatus": "Completed"}, "EndTime": 12.0},
        found_by="TrialComponentName",
    ),
)
