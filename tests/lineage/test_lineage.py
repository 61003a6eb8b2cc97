"""Lineage through boto3: artifacts by their source, associations in both directions, what holds what, the one group."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.lineage.conftest import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def edges(client: Any, **query: Any) -> list[str]:
    """Return the names of both ends of each association."""
    pages = client.get_paginator("list_associations").paginate(**query, PaginationConfig={"PageSize": 1})
    listed = [each for page in pages for each in page["AssociationSummaries"]]
    return [f"{each['SourceName']}-{each['DestinationName']}" for each in listed]


def test_an_artifact_is_its_source(client: Any, account: str) -> None:
    arn = client.create_artifact(ArtifactName="one", ArtifactType="DataSet", Source=SOURCE)["ArtifactArn"]
    assert re.fullmatch(rf"arn:aws:sagemaker:us-east-1:{account}:artifact/[0-9a-f]{{32}}", arn)
    shown = client.describe_artifact(ArtifactArn=arn)
    assert (shown["ArtifactName"], shown["Source"]) == ("one", SOURCE)
    assert shown["LineageGroupArn"].endswith(":lineage-group/sagemaker-default-lineage-group")
    code, message = refused(lambda: client.create_artifact(ArtifactType="Other", Source=SOURCE))
    assert code == "ValidationException"
    assert "already exists" in message
    other = client.create_artifact(ArtifactType="DataSet", Source={"SourceUri": "s3://b/data"})["ArtifactArn"]
    assert other != arn
    listed = client.list_artifacts(SourceUri="s3://b/data", ArtifactType="DataSet", SortOrder="Ascending")
    assert [each["ArtifactArn"] for each in listed["ArtifactSummaries"]] == [arn, other]
    assert client.list_artifacts(ArtifactType="Model")["ArtifactSummaries"] == []
    assert client.delete_artifact(Source=SOURCE)["ArtifactArn"] == arn
    assert refused(lambda: client.describe_artifact(ArtifactArn=arn))[0] == "ResourceNotFound"
    assert refused(lambda: client.delete_artifact(Source=SOURCE))[0] == "ResourceNotFound"
    assert refused(client.delete_artifact)[0] == "ValidationException"


def test_properties_are_overwritten_and_removed(client: Any, arns: dict[str, str]) -> None:
    for kind, name in (("action", "deploy"), ("context", "place")):
        update, describe = getattr(client, f"update_{kind}"), getattr(client, f"describe_{kind}")
        named = {f"{kind.title()}Name": name}
        update(**named, Properties={"a": "1", "b": "2"}, Description="d")
        update(**named, PropertiesToRemove=["a", "none"])
        shown = describe(**{f"{kind.title()}Name": arns[name]})
        assert (shown["Properties"], shown["Description"]) == ({"b": "2"}, "d")
        update(**named, Properties={"c": "3"})
        assert describe(**named)["Properties"] == {"c": "3"}
    client.update_action(ActionName="deploy", Status="Completed")
    listed = client.list_actions(ActionType="ModelDeployment", SortBy="Name")["ActionSummaries"]
    assert [(each["ActionName"], each["Status"]) for each in listed] == [("deploy", "Completed")]
    assert [each["ContextName"] for each in client.list_contexts(SourceUri="arn:e")["ContextSummaries"]] == ["place"]
    client.update_artifact(ArtifactArn=arns["data"], ArtifactName="renamed", Properties={"p": "1"})
    assert edges(client, DestinationArn=arns["train"]) == ["renamed-train"]


def test_associations_are_listed_from_both_ends(client: Any, arns: dict[str, str]) -> None:
    every = ["data-train", "train-model", "model-deploy", "deploy-place"]
    assert edges(client, SortOrder="Ascending") == every
    assert edges(client) == every[::-1]
    assert edges(client, SourceArn=arns["model"]) == ["model-deploy"]
    assert edges(client, DestinationArn=arns["model"]) == ["train-model"]
    assert edges(client, SourceType="DataSet") == ["data-train"]
    assert edges(client, DestinationType="Endpoint", AssociationType="AssociatedWith") == ["deploy-place"]
    assert edges(client, AssociationType="ContributedTo", SortBy="SourceType", SortOrder="Ascending") == [
        "data-train", "model-deploy",
    ]  # fmt: skip
    assert edges(client, CreatedBefore=0) == []
    assert len(edges(client, CreatedAfter=0)) == 4
    summary = client.list_associations(SourceArn=arns["deploy"])["AssociationSummaries"][0]
    assert (summary["SourceType"], summary["DestinationType"]) == ("ModelDeployment", "Endpoint")
    assert "IamIdentity" in summary["CreatedBy"]
    token = client.list_associations(MaxResults=1)["NextToken"]
    assert refused(lambda: client.list_associations(SourceType="DataSet", NextToken=token))[0] == "ValidationException"


def test_what_cannot_be_associated_is_refused(client: Any, arns: dict[str, str]) -> None:
    experiment = client.create_experiment(ExperimentName="E")["ExperimentArn"]
    foreign = arns["data"].replace(":us-east-1:", ":eu-west-1:")
    for source, destination, code in (
        (arns["data"], arns["train"], "ValidationException"),  # there already
        (experiment, arns["train"], "ValidationException"),
        (arns["data"], arns["data"], "ValidationException"),
        (f"{arns['data'][:-1]}x", arns["train"], "ResourceNotFound"),
        (foreign, arns["train"], "ResourceNotFound"),
        (arns["place"].replace(":context/", ":action/"), arns["train"], "ResourceNotFound"),
    ):
        request = {"SourceArn": source, "DestinationArn": destination}
        assert refused(lambda request=request: client.add_association(**request))[0] == code  # type: ignore[misc]
    both = {"SourceArn": arns["data"], "DestinationArn": arns["place"]}
    assert refused(lambda: client.delete_association(**both))[0] == "ResourceNotFound"
    assert len(edges(client)) == 4


def test_what_has_associations_is_not_deleted(client: Any, arns: dict[str, str]) -> None:
    for call in (
        lambda: client.delete_artifact(ArtifactArn=arns["data"]),
        lambda: client.delete_action(ActionName="deploy"),
        lambda: client.delete_context(ContextName="place"),
    ):
        assert refused(call)[0] == "ValidationException"
    client.delete_association(SourceArn=arns["deploy"], DestinationArn=arns["place"])
    client.delete_context(ContextName="place")
    client.delete_trial_component(TrialComponentName="train")  # its associations go with it, by its event
    deadline = time.monotonic() + 20
    while edges(client) != ["model-deploy"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process: there is nothing to wait on
    client.delete_artifact(ArtifactArn=arns["data"])


def test_there_is_one_group_and_it_has_no_policy(client: Any) -> None:
    (group,) = client.list_lineage_groups()["LineageGroupSummaries"]
    name = group["LineageGroupName"]
    assert client.describe_lineage_group(LineageGroupName=name)["CreationTime"] == group["CreationTime"]
    assert client.list_lineage_groups(CreatedBefore=0)["LineageGroupSummaries"] == []
    assert refused(lambda: client.describe_lineage_group(LineageGroupName="none"))[0] == "ResourceNotFound"
    assert refused(lambda: client.get_lineage_group_policy(LineageGroupName=name))[0] == "ResourceNotFound"
    assert refused(lambda: client.list_lineage_groups(NextToken="x"))[0] == "ValidationException"
