"""The kinds of `backends/lineage`."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "Artifact",
        request=lambda name, _: {
            "ArtifactName": name,
            "ArtifactType": "DataSet",
            "Source": {"SourceUri": f"s3://b/{name}", "SourceTypes": [{"SourceIdType": "MD5Hash", "Value": "1"}]},
        },
        update={"ArtifactName": "other", "Properties": {"a": "2"}},
    ),
    Kind(
        "Action",
        request=lambda name, _: {
            "ActionName": name,
            "ActionType": "ModelDeployment",
            "Source": {"SourceUri": "s3://b/k"},
            "Properties": {"a": "1"},
            "Status": "InProgress",
        },
        update={"Description": "other", "Properties": {"a": "2"}, "Status": "Completed"},
    ),
    Kind(
        "Context",
        request=lambda name, _: {"ContextName": name, "ContextType": "Endpoint", "Source": {"SourceUri": "s3://b/k"}},
        update={"Description": "other", "Properties": {"a": "2"}},
    ),
)
