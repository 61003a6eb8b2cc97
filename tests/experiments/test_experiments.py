"""Experiments, trials and their components through boto3: who belongs to whom, what holds what, lists, updates, Search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    """Return a client of an account with the experiments E and F, trials e1, e2 and f1, and components a, b and c."""
    made = aws("sagemaker")
    for name in "EF":
        made.create_experiment(ExperimentName=name)
    for name, experiment in (("e1", "E"), ("e2", "E"), ("f1", "F")):
        made.create_trial(TrialName=name, ExperimentName=experiment)
    for number, name in enumerate("abc"):
        parameters = {"depth": {"NumberValue": number + 0.5}, "kind": {"StringValue": f"k{number}"}}
        made.create_trial_component(TrialComponentName=name, Parameters=parameters)
    for trial, component in (("e1", "a"), ("e2", "a"), ("e1", "b"), ("f1", "c"), ("f1", "c")):
        made.associate_trial_component(TrialName=trial, TrialComponentName=component)
    return made


def trials(client: Any, **query: Any) -> list[str]:
    pages = client.get_paginator("list_trials").paginate(**query, PaginationConfig={"PageSize": 1})
    return [each["TrialName"] for page in pages for each in page["TrialSummaries"]]


def components(client: Any, **query: Any) -> list[str]:
    pages = client.get_paginator("list_trial_components").paginate(**query, PaginationConfig={"PageSize": 1})
    return [each["TrialComponentName"] for page in pages for each in page["TrialComponentSummaries"]]


def test_names_keep_their_case_and_are_shown(client: Any, account: str) -> None:
    shown = client.describe_experiment(ExperimentName="E")
    assert shown["ExperimentArn"] == f"arn:aws:sagemaker:us-east-1:{account}:experiment/E"
    assert shown["DisplayName"] == "E"
    assert shown["CreatedBy"] == shown["LastModifiedBy"]
    trial = client.describe_trial(TrialName="e1")
    assert (trial["ExperimentName"], trial["DisplayName"]) == ("E", "e1")
    assert trial["TrialArn"].endswith(":experiment-trial/e1")
    component = client.describe_trial_component(TrialComponentName="a")
    assert component["TrialComponentArn"].endswith(":experiment-trial-component/a")
    assert component == {
        **client.describe_trial_component(TrialComponentName=component["TrialComponentArn"]),
        "ResponseMetadata": component["ResponseMetadata"],
    }
    assert "Parents" not in component


def test_lists_know_who_belongs_to_whom(client: Any) -> None:
    assert trials(client) == ["f1", "e2", "e1"]  # the newest first
    assert trials(client, ExperimentName="E", SortBy="Name", SortOrder="Ascending") == ["e1", "e2"]
    assert trials(client, TrialComponentName="a", SortOrder="Ascending") == ["e1", "e2"]
    assert trials(client, TrialComponentName="a", ExperimentName="F") == []
    assert trials(client, TrialComponentName="a", CreatedBefore=0) == []
    assert components(client, SortBy="Name", SortOrder="Ascending") == ["a", "b", "c"]
    assert components(client, ExperimentName="E", SortOrder="Ascending") == ["a", "b"]
    assert components(client, TrialName="e2") == ["a"]
    assert components(client, SourceArn="arn:aws:sagemaker:us-east-1:1:training-job/t") == []
    for call in (trials, components):
        assert refused(lambda call=call: call(client, ExperimentName="none"))[0] == "ResourceNotFound"  # type: ignore[misc]
    assert refused(lambda: trials(client, TrialComponentName="none"))[0] == "ResourceNotFound"
    assert refused(lambda: components(client, TrialName="e1", ExperimentName="E"))[0] == "ValidationException"
    token = client.list_trials(TrialComponentName="a", MaxResults=1)["NextToken"]
    for query in ({"TrialComponentName": "b"}, {}):
        assert refused(lambda query=query: client.list_trials(NextToken=token, **query))[0] == "ValidationException"  # type: ignore[misc]
    summaries = client.list_experiments(SortBy="Name", SortOrder="Ascending")["ExperimentSummaries"]
    assert [each["ExperimentName"] for each in summaries] == ["E", "F"]


def test_what_is_in_use_is_not_deleted(client: Any) -> None:
    component = client.describe_trial_component(TrialComponentName="a")["TrialComponentArn"]
    for call, users in (
        (lambda: client.delete_experiment(ExperimentName="E"), "trials"),
        (lambda: client.delete_trial(TrialName="e1"), "trial components"),
    ):
        code, message = refused(call)
        assert code == "ValidationException"
        assert f"is linked to 1 or more {users} and cannot be deleted." in message
    assert refused(lambda: client.delete_trial_component(TrialComponentName="a")) == (
        "ValidationException", f"TrialComponent '{component}' is linked to 1 or more trials and cannot be deleted.",
    )  # fmt: skip
    for trial, name in (("e1", "a"), ("e2", "a"), ("e1", "b"), ("e1", "b")):
        client.disassociate_trial_component(TrialName=trial, TrialComponentName=name)
    client.delete_trial_component(TrialComponentName="a")
    for name in ("e1", "e2"):
        client.delete_trial(TrialName=name)
    client.delete_experiment(ExperimentName="E")
    assert components(client, SortOrder="Ascending") == ["b", "c"]
    assert refused(lambda: client.describe_experiment(ExperimentName="E"))[0] == "ResourceNotFound"


def test_what_is_missing_or_taken_is_refused(client: Any) -> None:
    missing = (
        lambda: client.create_trial(TrialName="x", ExperimentName="none"),
        lambda: client.associate_trial_component(TrialName="none", TrialComponentName="a"),
        lambda: client.associate_trial_component(TrialName="e1", TrialComponentName="none"),
        lambda: client.disassociate_trial_component(TrialName="e1", TrialComponentName="none"),
        lambda: client.update_trial_component(TrialComponentName="none"),
    )
    assert {refused(call)[0] for call in missing} == {"ResourceNotFound"}
    taken = (
        lambda: client.create_experiment(ExperimentName="E"),
        lambda: client.create_trial(TrialName="f1", ExperimentName="E"),
        lambda: client.create_trial_component(TrialComponentName="a"),
    )
    for call in taken:
        code, message = refused(call)
        assert code == "ValidationException"
        assert "already exists" in message  # what the SDKs look for
    both = {"depth": {"NumberValue": 1.0, "StringValue": "1"}}
    assert (
        refused(lambda: client.create_trial_component(TrialComponentName="x", Parameters=both))[0]
        == "ValidationException"
    )


def test_an_update_merges_and_removes(client: Any) -> None:
    client.update_experiment(ExperimentName="E", DisplayName="shown", Description="d")
    client.update_trial(TrialName="e1", DisplayName="shown")
    assert client.describe_experiment(ExperimentName="E")["Description"] == "d"
    assert client.describe_trial(TrialName="e1")["DisplayName"] == "shown"
    client.update_trial_component(
        TrialComponentName="a",
        Status={"PrimaryStatus": "Completed"},
        Parameters={"new": {"NumberValue": 1.0}},
        ParametersToRemove=["kind", "none"],
        OutputArtifacts={"model": {"Value": "s3://b/m"}, "other": {"Value": "s3://b/o"}},
    )
    client.update_trial_component(TrialComponentName="a", OutputArtifactsToRemove=["other"])
    shown = client.describe_trial_component(TrialComponentName="a")
    assert shown["Parameters"] == {"depth": {"NumberValue": 0.5}, "new": {"NumberValue": 1.0}}
    assert shown["OutputArtifacts"] == {"model": {"Value": "s3://b/m"}}
    assert shown["Status"] == {"PrimaryStatus": "Completed"}
    assert components(client, TrialName="e2") == ["a"]  # an update leaves it where it belongs
    more = {f"p{number}": {"NumberValue": 0.0} for number in range(299)}
    assert "at most 300" in refused(lambda: client.update_trial_component(TrialComponentName="a", Parameters=more))[1]


def test_search_finds_components_by_parents_and_parameters(client: Any) -> None:
    def searched(*filters: dict[str, str], **query: Any) -> list[str]:
        answer = client.search(
            Resource="ExperimentTrialComponent",
            SearchExpression={"Filters": [*filters]},
            SortOrder="Ascending",
            **query,
        )
        return [result["TrialComponent"]["TrialComponentName"] for result in answer["Results"]]

    by_experiment = {"Name": "Parents.ExperimentName", "Operator": "Equals", "Value": "E"}
    assert searched(by_experiment, SortBy="TrialComponentName") == ["a", "b"]
    assert searched({"Name": "Parents.TrialName", "Operator": "In", "Value": "e2,f1"}, SortBy="CreationTime") == [
        "a",
        "c",
    ]
    deep = {"Name": "Parameters.depth", "Operator": "GreaterThan", "Value": "1"}
    assert searched(deep, SortBy="Parameters.depth") == ["b", "c"]
    assert searched({"Name": "Parameters.kind", "Value": "k1"}) == ["b"]
    result = client.search(
        Resource="ExperimentTrialComponent",
        SearchExpression={"Filters": [{"Name": "TrialComponentName", "Operator": "Equals", "Value": "a"}]},
    )["Results"][0]["TrialComponent"]
    assert [parent["TrialName"] for parent in result["Parents"]] == ["e1", "e2"]
    found_trials = client.search(
        Resource="ExperimentTrial", SearchExpression={"Filters": [{"Name": "ExperimentName", "Value": "F"}]}
    )["Results"]
    assert [each["Trial"]["TrialName"] for each in found_trials] == ["f1"]
    client.disassociate_trial_component(TrialName="e1", TrialComponentName="b")
    assert searched(by_experiment) == ["a"]
