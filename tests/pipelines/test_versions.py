"""Versions of a pipeline, with boto3."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.site import Site


def definition(*names: str) -> str:
    steps = [{"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": "no"}} for name in names]
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


def create(site: Site, **more: Any) -> str:
    request = {
        "PipelineName": "p",
        "PipelineDefinition": definition("a"),
        "ClientRequestToken": "t" * 32,
        "RoleArn": site.role,
    }
    return str(site.sagemaker.create_pipeline(**{**request, **more})["PipelineArn"])


def test_each_change_makes_a_version(site: Site) -> None:
    sagemaker = site.sagemaker
    arn = create(site)
    assert sagemaker.update_pipeline(PipelineName="p", PipelineDefinition=definition("b"))["PipelineVersionId"] == 2
    sagemaker.update_pipeline_version(
        PipelineArn=arn,
        PipelineVersionId=1,
        PipelineVersionDisplayName="first",
        PipelineVersionAliasOperations={"Add": ["stable"]},
    )
    versions = sagemaker.list_pipeline_versions(PipelineName=arn)["PipelineVersionSummaries"]
    assert [(each["PipelineVersionId"], each.get("PipelineVersionDisplayName")) for each in versions] == [
        (2, None),
        (1, "first"),
    ]
    assert {each["PipelineArn"] for each in versions} == {arn}
    shown = [
        sagemaker.describe_pipeline(PipelineName="p", **by)["PipelineDefinition"]
        for by in ({}, {"PipelineVersionId": 1}, {"PipelineVersionAlias": "stable"})
    ]
    assert shown == [definition("b"), definition("a"), definition("a")]
    with pytest.raises(ClientError, match="another version's"):
        sagemaker.update_pipeline_version(
            PipelineArn=arn, PipelineVersionId=2, PipelineVersionAliasOperations={"Add": ["stable"]}
        )
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.list_pipeline_versions(PipelineName="none")


def test_a_definition_is_read_from_s3_as_the_role(site: Site) -> None:
    sagemaker, s3 = site.sagemaker, site.s3
    s3.create_bucket(Bucket="definitions-of-pipelines")
    s3.put_object(Bucket="definitions-of-pipelines", Key="p.json", Body=definition("from-s3"))
    location = {"Bucket": "definitions-of-pipelines", "ObjectKey": "p.json"}
    request = {"PipelineName": "p", "ClientRequestToken": "t" * 32, "RoleArn": site.role}
    sagemaker.create_pipeline(**request, PipelineDefinitionS3Location=location)
    assert sagemaker.describe_pipeline(PipelineName="p")["PipelineDefinition"] == definition("from-s3")


@pytest.mark.parametrize(
    "text",
    [
        "no json", "[]", '{"Steps": {}}', '{"Steps": [{"Name": "a b", "Type": "Fail"}]}', definition("a", "a"),
        pytest.param("[" * 9000, id="deep"),
    ],
)  # fmt: skip
def test_what_is_no_definition_is_refused(site: Site, text: str) -> None:
    sagemaker = site.sagemaker
    with pytest.raises(ClientError, match="Unable to parse pipeline definition"):
        create(site, PipelineDefinition=text)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline(PipelineName="p")


def test_a_name_is_taken_once(site: Site) -> None:
    create(site)
    with pytest.raises(ClientError, match=r"ValidationException.*already exists"):
        create(site, ClientRequestToken="u" * 32)
