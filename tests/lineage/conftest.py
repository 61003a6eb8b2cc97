"""A fresh account's client, and a chain of entities in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = {"SourceUri": "s3://b/data", "SourceTypes": [{"SourceIdType": "S3ETag", "Value": "1"}]}


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    """Return a client of a fresh account."""
    return aws("sagemaker")


@pytest.fixture
def arns(client: Any) -> dict[str, str]:
    """Make data -> train (a component) -> model -> deploy -> place, and return their ARNs."""
    made = {
        "data": client.create_artifact(ArtifactName="data", ArtifactType="DataSet", Source=SOURCE)["ArtifactArn"],
        "train": client.create_trial_component(TrialComponentName="train")["TrialComponentArn"],
        "model": client.create_artifact(
            ArtifactName="model", ArtifactType="Model", Source={"SourceUri": "s3://b/model"}
        )["ArtifactArn"],
        "deploy": client.create_action(
            ActionName="deploy", ActionType="ModelDeployment", Source={"SourceUri": "s3://b/e"}
        )["ActionArn"],
        "place": client.create_context(
            ContextName="place", ContextType="Endpoint", Source={"SourceUri": "arn:e", "SourceId": "1"}
        )["ContextArn"],
    }
    for source, destination, kind in (
        ("data", "train", "ContributedTo"),
        ("train", "model", "Produced"),
        ("model", "deploy", "ContributedTo"),
        ("deploy", "place", "AssociatedWith"),
    ):
        client.add_association(SourceArn=made[source], DestinationArn=made[destination], AssociationType=kind)
    return made
