"""Facts about the model that the rest is built on."""

from __future__ import annotations

import pytest
from botocore.exceptions import UnknownServiceError

from api_specs import model


def test_the_model_is_loaded_once_and_without_prose() -> None:
    service = model.load_service("sagemaker")
    assert service is model.load_service("sagemaker")
    assert service.operation_model("CreateModel").documentation == ""
    assert model.operation("CreateModel") is model.operation("CreateModel")


def test_every_sagemaker_service_is_known() -> None:
    named = {name for name in model.service_names() if name.startswith("sagemaker")}
    assert named == set(model.SAGEMAKER_SERVICES)
    with pytest.raises(UnknownServiceError):
        model.load_service("sagemaker-nothing")


def test_operations_and_errors() -> None:
    assert model.target_prefix("sagemaker") == "SageMaker"
    assert model.target_prefix("logs") == "Logs_20140328"
    assert model.target_prefix("s3") == ""
    assert len(model.operations()) == 425
    assert model.has_operation("CreateModel")
    assert not model.has_operation("CreateNothing")
    assert model.declares_error("DescribeTrainingJob", "ResourceNotFound")
    assert not model.declares_error("DescribeModel", "ResourceNotFound")
    assert model.declares_error("GetRole", "NoSuchEntity", "iam")


def test_nouns() -> None:
    assert "TrainingJob" in model.nouns()
    assert model.key_members("TrainingJob") == ("TrainingJobName",)
    assert model.key_members("UserProfile") == ("DomainId", "UserProfileName")
    assert model.list_operation("Model") == "ListModels"
    assert model.list_operation("CodeRepository") == "ListCodeRepositories"
    assert model.list_operation("AutoMLJobV2") == "ListAutoMLJobs"
    assert model.list_operation("Nothing") is None
    assert model.summary_shape("ListModels") == ("Models", ("ModelName", "ModelArn", "CreationTime"))
    assert all(model.summary_shape(name)[0] for name in map(model.list_operation, model.nouns()) if name)
    with pytest.raises(LookupError):
        model.summary_shape("DeleteModel")


def test_members() -> None:
    assert "ModelName" in model.input_members("CreateModel")
    assert model.output_members("CreateModel") == ("ModelArn",)
    assert model.output_members("DeleteModel") == ()
    assert model.members("Tag") == ("Key", "Value")
    assert model.waiters("sagemaker")["EndpointInService"]["operation"] == "DescribeEndpoint"


def test_corrections_are_applied_and_carry_their_source() -> None:
    shape = model.shape("ListObjectsV2Output", "s3")
    assert shape.serialization["name"] == "ListBucketResult"
    for file in model.PATCHES.glob("*.json"):
        assert all(item["source"] for item in model._corrections(file.stem))
