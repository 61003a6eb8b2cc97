"""Algorithms through boto3: what is stored and refused, training jobs that name one, and validation by a training job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.training.algorithm import is_in_range
from tests.site import SCIKIT_LEARN, channel, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site import Site

SCRIPT = """
import os, sys
print("loss=0.5;", sys.argv[1:])
assert "--fail" not in sys.argv, "told to"
open(os.path.join(os.environ["SM_MODEL_DIR"], "m"), "w").write(os.environ["SM_HP_DEPTH"])
"""
WAIT_S = 90.0


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def parameter(name: str, kind: str = "FreeText", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, **more}


def specification(**members: Any) -> dict[str, Any]:
    """Return a TrainingSpecification of an algorithm in script mode, with one channel and an integer from 1 to 9."""
    limits = {"IntegerParameterRangeSpecification": {"MinValue": "1", "MaxValue": "9"}}
    return {
        "TrainingImage": SCIKIT_LEARN,
        "SupportedTrainingInstanceTypes": ["ml.m5.large"],
        "SupportedHyperParameters": [
            parameter("sagemaker_program"),
            parameter("sagemaker_submit_directory", IsRequired=True),
            parameter("fail"),
            parameter("depth", "Integer", Range=limits, DefaultValue="4"),
        ],
        "TrainingChannels": [
            {
                "Name": "train",
                "IsRequired": True,
                "SupportedContentTypes": ["text/csv"],
                "SupportedInputModes": ["File"],
            }
        ],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        "SupportedTuningJobObjectiveMetrics": [{"Type": "Minimize", "MetricName": "loss"}],
        **members,
    }


def profile(site: Site, **hyperparameters: str) -> dict[str, Any]:
    """Return a ValidationSpecification that runs the script."""
    code = site.upload({"sourcedir.tar.gz": packed({"train.py": SCRIPT})})
    given = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"{code}sourcedir.tar.gz"}
    request = site.request()
    definition = {
        "TrainingInputMode": "File",
        "HyperParameters": {**given, **hyperparameters},
        "InputDataConfig": [channel("train", site.upload({"a.csv": "1,2\n"}), ContentType="text/csv")],
        **{member: request[member] for member in ("OutputDataConfig", "ResourceConfig", "StoppingCondition")},
    }
    profiles = [{"ProfileName": "p", "TrainingJobDefinition": definition}]
    return {"ValidationRole": site.role, "ValidationProfiles": profiles}


def ended(site: Site, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while True:
        algorithm: dict[str, Any] = site.sagemaker.describe_algorithm(AlgorithmName=name)
        if algorithm["AlgorithmStatus"] in {"Completed", "Failed"}:
            return algorithm
        assert time.monotonic() < deadline, algorithm
        time.sleep(0.05)


def test_what_contradicts_itself_is_no_algorithm(local: Site) -> None:
    client = local.sagemaker
    train = specification()["TrainingChannels"]
    wrong = {
        "TrainingChannels must be unique": {"TrainingChannels": train * 2},
        "SupportedHyperParameters must be unique": {"SupportedHyperParameters": [parameter("a"), parameter("a")]},
        "cannot be required": {"SupportedHyperParameters": [parameter("a", IsRequired=True, DefaultValue="1")]},
        "not one of its type": {
            "SupportedHyperParameters": [
                parameter("a", "Integer", Range={"CategoricalParameterRangeSpecification": {"Values": ["1"]}})
            ]
        },
        "not among MetricDefinitions": {"MetricDefinitions": []},
    }
    for sentence, members in wrong.items():
        given = {"AlgorithmName": "a", "TrainingSpecification": specification(**members)}
        code, message = refused(lambda given=given: client.create_algorithm(**given))  # type: ignore[misc]
        assert (code, sentence in message) == ("ValidationException", True), message
    checked = profile(local)
    checked["ValidationProfiles"][0]["TransformJobDefinition"] = {
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/i"}}},
        "TransformOutput": {"S3OutputPath": "s3://b/o"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    good = {"AlgorithmName": "a", "TrainingSpecification": specification()}
    assert refused(lambda: client.create_algorithm(**good, ValidationSpecification=checked))[0] == "NotImplemented"
    assert client.list_algorithms()["AlgorithmSummaryList"] == []
    client.create_algorithm(**good)
    described = client.describe_algorithm(AlgorithmName="a")
    assert described["AlgorithmStatus"] == "Completed"
    assert described["AlgorithmStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}
    assert refused(lambda: client.create_algorithm(**good))[0] == "ValidationException"


def test_a_training_job_that_names_an_algorithm_is_held_to_it(local: Site) -> None:
    client = local.sagemaker
    arn = client.create_algorithm(AlgorithmName="a", TrainingSpecification=specification())["AlgorithmArn"]
    definition = profile(local)["ValidationProfiles"][0]["TrainingJobDefinition"]
    definition.pop("TrainingInputMode")
    good = local.request(**definition, AlgorithmSpecification={"AlgorithmName": arn, "TrainingInputMode": "File"})
    data, resources, values = (good[member] for member in ("InputDataConfig", "ResourceConfig", "HyperParameters"))
    wrong: dict[str, dict[str, Any]] = {
        "requires the channel train": {"InputDataConfig": None},
        "no channel other": {"InputDataConfig": [*data, {**data[0], "ChannelName": "other"}]},
        "text/plain is not among": {"InputDataConfig": [{**data[0], "ContentType": "text/plain"}]},
        "FastFile is not among": {"InputDataConfig": [{**data[0], "InputMode": "FastFile"}]},
        "does not support ml.m5.xlarge": {"ResourceConfig": {**resources, "InstanceType": "ml.m5.xlarge"}},
        "distributed": {"ResourceConfig": {**resources, "InstanceCount": 2}},
        "no hyperparameter x": {"HyperParameters": {**values, "x": "1"}},
        "requires the hyperparameter": {"HyperParameters": {}},
        "not in the algorithm's range": {"HyperParameters": {**values, "depth": "10"}},
        "MetricDefinitions cannot": {
            "AlgorithmSpecification": {
                **good["AlgorithmSpecification"],
                "MetricDefinitions": [{"Name": "a", "Regex": "b"}],
            }
        },
        "Requested resource not found": {
            "AlgorithmSpecification": {"AlgorithmName": "none", "TrainingInputMode": "File"}
        },
    }
    for sentence, members in wrong.items():
        given = {name: value for name, value in {**good, **members}.items() if value is not None}
        code, message = refused(lambda given=given: client.create_training_job(**given))  # type: ignore[misc]
        assert (code, sentence in message) == ("ValidationException", True), message
    client.create_training_job(**good)
    client.delete_algorithm(AlgorithmName="a")  # a job under way keeps what it was begun with
    job = local.ended(good["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["AlgorithmSpecification"]["AlgorithmName"] == arn
    assert "TrainingImage" not in job["AlgorithmSpecification"]
    assert job["HyperParameters"]["depth"] == "4"
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [("loss", 0.5)]
    assert local.artifact(job)["m"] == b"4"


def test_an_algorithm_is_what_becomes_of_its_validation(local: Site) -> None:
    client = local.sagemaker
    for name, more in (("good", {}), ("bad", {"fail": "1"})):
        client.create_algorithm(
            AlgorithmName=name, TrainingSpecification=specification(), ValidationSpecification=profile(local, **more)
        )
    assert refused(lambda: client.delete_algorithm(AlgorithmName="bad"))[0] == "ConflictException"
    good, bad = ended(local, "good"), ended(local, "bad")
    assert good["AlgorithmStatus"] == "Completed"
    assert good["AlgorithmStatusDetails"]["ValidationStatuses"] == [{"Name": "p", "Status": "Completed"}]
    (status,) = bad["AlgorithmStatusDetails"]["ValidationStatuses"]
    assert (bad["AlgorithmStatus"], status["Status"]) == ("Failed", "Failed")
    assert "told to" in status["FailureReason"]
    jobs = client.list_training_jobs()["TrainingJobSummaries"]
    assert sorted(job["TrainingJobName"].rpartition("-")[0] for job in jobs) == ["bad", "good"]
    assert refused(
        lambda: client.create_training_job(
            **local.request(AlgorithmSpecification={"AlgorithmName": "bad", "TrainingInputMode": "File"})
        )
    )[1].endswith("is in status Failed.")
    client.create_algorithm(
        AlgorithmName="without", TrainingSpecification=specification(), ValidationSpecification=profile(local, x="1")
    )
    (status,) = ended(local, "without")["AlgorithmStatusDetails"]["ValidationStatuses"]
    assert status["FailureReason"] == "The algorithm has no hyperparameter x."


@pytest.mark.parametrize(
    ("value", "kind", "limits", "is_good"),
    [
        ("3", "Integer", {}, True),
        ("3.5", "Integer", {}, False),
        ("3.5", "Continuous", {"ContinuousParameterRangeSpecification": {"MinValue": "3", "MaxValue": "4"}}, True),
        ("nan", "Continuous", {"ContinuousParameterRangeSpecification": {"MinValue": "3", "MaxValue": "4"}}, False),
        ("b", "Categorical", {"CategoricalParameterRangeSpecification": {"Values": ["a"]}}, False),
        ("a", "Categorical", {"CategoricalParameterRangeSpecification": {"Values": ["a"]}}, True),
        ("", "FreeText", {}, True),
    ],
)
def test_a_value_is_in_its_range(value: str, kind: str, limits: dict[str, Any], *, is_good: bool) -> None:
    assert is_in_range(value, parameter("p", kind, Range=limits)) is is_good


def test_a_model_package_is_made_of_an_algorithm_and_what_it_was_trained_to(local: Site) -> None:
    client = local.sagemaker
    inference = {"Containers": [{"Image": SCIKIT_LEARN}], "SupportedContentTypes": ["text/csv"]}
    client.create_algorithm(AlgorithmName="a", TrainingSpecification=specification(), InferenceSpecification=inference)
    sources = [{"AlgorithmName": "a", "ModelDataUrl": "s3://bucket/model.tar.gz"}]
    package = client.create_model_package(
        ModelPackageName="p", SourceAlgorithmSpecification={"SourceAlgorithms": sources}
    )["ModelPackageArn"]
    described = client.describe_model_package(ModelPackageName=package)
    (container,) = described["InferenceSpecification"]["Containers"]
    assert (container["Image"], container["ModelDataUrl"]) == (SCIKIT_LEARN, "s3://bucket/model.tar.gz")
