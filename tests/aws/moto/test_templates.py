"""Templates of CloudFormation are data: none runs code, stands for more than it has, or is more than a template may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site import Site

GROUP = {"Type": "AWS::SageMaker::ModelPackageGroup"}
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nResources: {G: {Type: 'AWS::SageMaker::ModelPackageGroup', Properties: *b}}\n"


@pytest.mark.parametrize(
    "operation", ["create_stack", "validate_template", "get_template_summary", "create_change_set"]
)
def test_a_template_runs_nothing(local: Site, tmp_path: Path, operation: str) -> None:
    ran = tmp_path / "ran"
    body = f'Resources:\n  A: !!python/object/apply:os.system ["touch {ran}"]\n'
    named: dict[str, Any] = {"StackName": "s"} if "create" in operation else {}
    named |= {"ChangeSetName": "c", "ChangeSetType": "CREATE"} if "change" in operation else {}
    with pytest.raises(ClientError) as refused:
        getattr(local.client("cloudformation"), operation)(TemplateBody=body, **named)
    assert not ran.exists()
    assert refused.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (BOMB, "aliases are not allowed"),
        ("[" * 20_000, "Template format error"),
        (
            json.dumps({"Resources": {f"G{number}": GROUP for number in range(501)}}),
            "greater than maximum allowed, 500",
        ),
        ("{}", "At least one Resources member"),
        ('{"Resources": {"A": null}}', "/Resources/A"),
        ('{"Resources": {"A": {"Type": 5}}}', "must contain a Type member"),
        ('{"Resources": {"A": {"Type": "AWS::SageMaker::Model", "Properties": "x"}}}', "/Resources/A/Properties"),
        ("5", "unsupported structure"),
    ],
)
def test_what_is_no_template_is_refused_at_once(local: Site, body: str, sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence) as refused:
        local.client("cloudformation").create_stack(StackName="s", TemplateBody=body)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_yaml_with_short_functions_and_dates_is_read(local: Site) -> None:
    body = """
AWSTemplateFormatVersion: 2010-09-09
Parameters: {Name: {Type: String, Default: of-yaml}}
Resources:
  Group: {Type: "AWS::SageMaker::ModelPackageGroup", Properties: {ModelPackageGroupName: !Ref Name}}
Outputs:
  Arn: {Value: !GetAtt Group.ModelPackageGroupArn}
"""
    stacks = local.client("cloudformation")
    stacks.create_stack(StackName="s", TemplateBody=body)
    [output] = stacks.describe_stacks(StackName="s")["Stacks"][0]["Outputs"]
    assert output["OutputValue"].endswith("model-package-group/of-yaml")
