"""Definitions that are none: each is refused with a sentence, and nothing is stored; and what paths and durations mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.pipelines import graph, paths
from tests.pipelines.pipelines import definition, step

if TYPE_CHECKING:
    from tests.site import Site

FAIL = {"ErrorMessage": "no"}


def get(reference: Any) -> dict[str, Any]:
    return {"Get": reference}


def model(name: str, value: Any = "x", **more: Any) -> dict[str, Any]:
    return step(name, "Model", {"PrimaryContainer": value}, **more)


def condition(*conditions: Any, **more: Any) -> dict[str, Any]:
    return step("C", "Condition", {"Conditions": list(conditions), **more})


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


BAD = {
    "no steps": {"Version": "2020-12-01"},
    "version": definition(Version="2019-01-01"),
    "experiment": definition(model("A"), PipelineExperimentConfig=1),
    "experiment by reference": definition(model("A"), PipelineExperimentConfig=get("Execution.PipelineName")),
    "experiment's name": definition(model("A"), PipelineExperimentConfig={"ExperimentName": 1}),
    "deep": definition(model("A", deep(500))),
    "many": definition(*(step(f"S{n}", "Fail", FAIL) for n in range(1001))),
    "long path": definition(model("A", get("Steps.B." + "x" * 2000)), model("B")),
    "unknown type": definition(step("A", "Dance", {})),
    "name": definition(step("a b", "Fail", FAIL)),
    "two of one name": definition(step("A", "Fail", FAIL), step("A", "Fail", FAIL)),
    "two in branches": definition(condition({"Type": "Equals", "LeftValue": 1, "RightValue": 1}, IfSteps=[model("A")], ElseSteps=[model("A")])),
    "no arguments": definition({"Name": "A", "Type": "Model"}),
    "depends on nobody": definition(model("A", DependsOn=["B"])),
    "depends on a fail": definition(model("A", DependsOn=["F"]), step("F", "Fail", FAIL)),
    "depends no list": definition(model("A", DependsOn="B")),
    "circle": definition(model("A", DependsOn=["B"]), model("B", get("Steps.A.ModelName"))),
    "itself": definition(model("A", get("Steps.A.ModelName"))),
    "circle by a branch": definition(
        condition({"Type": "Equals", "LeftValue": get("Steps.A.ModelName"), "RightValue": 1}, IfSteps=[model("A")])
    ),
    "unknown step": definition(model("A", get("Steps.B.ModelName"))),
    "no property": definition(model("A", get("Steps.B")), model("B")),
    "bad path": definition(model("A", get("Steps.B.x[")), model("B")),
    "property of a fail": definition(model("A", get("Steps.F.x")), step("F", "Fail", FAIL)),
    "unknown parameter": definition(model("A", get("Parameters.P"))),
    "unknown variable": definition(model("A", get("Execution.Weather"))),
    "unknown source": definition(model("A", get("Weather.Today"))),
    "get of a number": definition(model("A", get(3))),
    "join without values": definition(model("A", {"Std:Join": {"On": "/"}})),
    "json get of nothing": definition(model("A", {"Std:JsonGet": {"Path": "a"}})),
    "json get of both": definition(model("A", {"Std:JsonGet": {"Path": "a", "S3Uri": "s3://b/k", "PropertyFile": get("Steps.B.PropertyFiles.F")}})),
    "json get by a bad path": definition(model("A", {"Std:JsonGet": {"Path": "a..[", "S3Uri": "s3://b/k"}})),
    "unknown property file": definition(
        model("A", {"Std:JsonGet": {"Path": "a", "PropertyFile": get("Steps.B.PropertyFiles.F")}}), model("B")
    ),
    "property file": definition(step("A", "Processing", {}, PropertyFiles=[{"PropertyFileName": "F"}])),
    "no conditions": definition(condition()),
    "unknown condition": definition(condition({"Type": "Sunny"})),
    "condition without sides": definition(condition({"Type": "Equals", "LeftValue": 1})),
    "empty or": definition(condition({"Type": "Or", "Conditions": []})),
    "branch": definition(condition({"Type": "Equals", "LeftValue": 1, "RightValue": 1}, IfSteps={})),
    "fail without message": definition(step("A", "Fail", {})),
    "callback without queue": definition(step("A", "Callback", {})),
    "lambda without function": definition(step("A", "Lambda", {})),
    "duration": definition(model("A", CacheConfig={"Enabled": True, "ExpireAfter": "a while"})),
    "exception type": definition(model("A", RetryPolicies=[{"ExceptionType": ["Step.BORED"]}])),
    "attempts": definition(model("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 21}])),
    "both limits": definition(
        model("A", RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 2, "ExpireAfterMin": 2}])
    ),
    "parameters": definition(parameters={"P": 1}),  # type: ignore[arg-type]
    "parameter type": definition(parameters=[{"Name": "P", "Type": "Date"}]),
    "two parameters": definition(parameters=[{"Name": "P", "Type": "String"}] * 2),
    "default": definition(parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "x"}]),
    "enumeration": definition(parameters=[{"Name": "P", "Type": "String", "DefaultValue": "x", "EnumValues": ["y"]}]),
}  # fmt: skip


def test_what_is_no_definition_is_refused_and_nothing_is_stored(local: Site) -> None:
    sagemaker = local.sagemaker
    texts = {name: json.dumps(document) for name, document in BAD.items()}
    texts |= {"NaN": '{"Steps": [], "Metadata": NaN}', "surrogate": '{"Steps": [{"Name": "\\ud800"}]}'}
    for name, text in texts.items():
        with pytest.raises(ClientError) as refused:
            sagemaker.create_pipeline(PipelineName="p", PipelineDefinition=text, RoleArn=local.role)
        error = refused.value.response["Error"]
        assert error["Code"] == "ValidationException", name
        assert error["Message"].startswith("Unable to parse pipeline definition. "), name
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[0].c", 1), ("['a'].b[-1]['c']", 1), ("Outputs['train'].Uri", "s3"), ('Outputs["train"].Uri', "s3"), ("[0]", None),
        ("a.none", None), ("a.b[7]", None),
    ],
)  # fmt: skip
def test_paths(path: str, value: Any) -> None:
    document = {"a": {"b": [{"c": 1}]}, "Outputs": [{"OutputName": "train", "Uri": "s3"}]}
    if value is None:
        with pytest.raises(paths.MissingError):
            paths.at(document, path)
    else:
        assert paths.at(document, path) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("P30D", 30 * 86400), ("PT1H", 3600), ("30d", 30 * 86400), ("T16m", 960), ("30dT5h", 30 * 86400 + 18000), ("P", None), ("soon", None)],
)  # fmt: skip
def test_durations(text: str, seconds: int | None) -> None:
    assert graph.seconds_of(text) == seconds
