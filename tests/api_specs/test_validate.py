"""Constraint failures in AWS's words. The first two are public captures (common.md, section 4)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.model import ServiceModel

from api_specs import model, validate

JOB_PATTERN = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def _sentence(operation: str, request: dict[str, Any]) -> str:
    return validate.sentence(validate.violations(model.operation(operation).input_shape, request))


def test_one_violation() -> None:
    assert _sentence("DescribeTrainingJob", {"TrainingJobName": "my_job"}) == (
        "1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {JOB_PATTERN}"
    )


def test_two_violations_of_one_member() -> None:
    name = "a_" * 40
    assert _sentence("DescribeTrainingJob", {"TrainingJobName": name}) == (
        f"2 validation errors detected: Value '{name}' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must have length less than or equal to 63; Value '{name}' at 'trainingJobName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {JOB_PATTERN}"
    )


def test_missing_required_member() -> None:
    assert _sentence("DescribeModel", {}) == (
        "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    )


def test_list_positions_begin_with_one() -> None:
    request = {"EndpointConfigName": "c", "ProductionVariants": [{"VariantName": "ok"}, {"VariantName": "no_good"}]}
    assert "at 'productionVariants.2.member.variantName' failed" in _sentence("CreateEndpointConfig", request)


def test_empty_list_and_range_and_enum() -> None:
    text = _sentence("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": []})
    assert text.endswith(
        "Value '[]' at 'productionVariants' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )
    assert _sentence("ListModels", {"MaxResults": 101}).endswith(
        "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"
    )
    assert _sentence("ListModels", {"MaxResults": 0}).endswith("Member must have value greater than or equal to 1")
    assert _sentence("ListModels", {"SortOrder": "Up"}).endswith(
        "Value 'Up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [Ascending, Descending]"
    )


def test_map_values_and_keys() -> None:
    broken = validate.violations(model.shape("EnvironmentMap"), {"Key": "x" * 20_000, "1": "v"})
    assert "at 'Key.member' failed to satisfy constraint: Member must have length less than or equal to" in broken[0]
    assert "Map keys must satisfy constraint: [" in broken[-1]


def test_good_requests_violate_nothing() -> None:
    request = {
        "ModelName": "m-1",
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r",
        "Tags": [{"Key": "\u00fc", "Value": ""}],
    }
    assert validate.violations(model.operation("CreateModel").input_shape, request) == []


def test_a_union_has_exactly_one_member() -> None:
    shape = next(
        model.shape(name)
        for name in model.shape_names()
        if model.shape(name).type_name == "structure" and model.shape(name).is_tagged_union
    )
    assert validate.violations(shape, {}) == [
        "Value '{}' at '' failed to satisfy constraint: Member must have exactly one member set"
    ]


def test_sensitive_values_are_not_quoted() -> None:
    shapes = {
        "In": {"type": "structure", "members": {"Secret": {"shape": "Secret"}}},
        "Secret": {"type": "string", "max": 3, "sensitive": True},
    }
    shape = ServiceModel({"metadata": {}, "operations": {}, "shapes": shapes}, "made").shape_for("In")
    broken = validate.violations(shape, {"Secret": "password"})
    assert (
        validate.sentence(broken)
        == "1 validation error detected: failed to satisfy constraint: Member must have length less than or equal to 3"
    )


@pytest.mark.parametrize("service", [*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs"])
def test_every_input_shape_compiles(service: str) -> None:
    for name in model.operations(service):
        shape = model.operation(name, service).input_shape
        if shape is not None and shape.required_members:
            assert len(validate.violations(shape, {})) >= len(shape.required_members)
