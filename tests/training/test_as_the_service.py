"""What the real service answers where a model's declaration or good sense would say otherwise (public reports)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from backends.jobs.channels import DataError, relative_path
from backends.jobs.logs import compile_metrics, values_in
from backends.training.algorithm_metrics import definitions_of

if TYPE_CHECKING:
    from tests.site import Site

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@pytest.mark.parametrize("verb", ["describe", "stop", "delete"])
def test_a_missing_training_job_is_a_validation_exception(local: Site, verb: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(local.sagemaker, f"{verb}_training_job")(TrainingJobName="not-there")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["Error"]["Message"] == "Requested resource not found."


def test_a_page_of_training_jobs_is_cut_before_its_status_is_asked(local: Site) -> None:
    older, newer = local.start("raise SystemExit(1)"), ""
    local.ended(older)
    time.sleep(0.01)
    newer = local.start("print(1)")
    local.ended(newer)
    order = {"SortBy": "CreationTime", "SortOrder": "Descending", "StatusEquals": "Failed", "NameContains": "-"}
    page = local.sagemaker.list_training_jobs(MaxResults=1, **order)
    assert page["TrainingJobSummaries"] == []
    page = local.sagemaker.list_training_jobs(MaxResults=1, NextToken=page["NextToken"], **order)
    assert [job["TrainingJobName"] for job in page["TrainingJobSummaries"]] == [older]
    every = local.sagemaker.list_training_jobs(**order)["TrainingJobSummaries"]
    assert older in [job["TrainingJobName"] for job in every]
    assert newer not in [job["TrainingJobName"] for job in every]


@pytest.mark.parametrize(("prefix", "key"), [("data/", "data//a.csv"), ("data", "data//a"), ("d/", "d/x//y")])
def test_a_key_with_an_empty_part_cannot_be_a_file(prefix: str, key: str) -> None:
    with pytest.raises(DataError, match="empty part"):
        relative_path(prefix, key)


def test_built_in_xgboost_brings_its_metric_definitions() -> None:
    request = {"AlgorithmSpecification": {"TrainingImage": XGBOOST}, "HyperParameters": {"num_round": "1"}}
    own = definitions_of(request)
    assert {"train:rmse", "validation:rmse", "validation:f1_binary"} <= {entry["Name"] for entry in own}
    line = "[3]\ttrain-rmse:0.50000\tvalidation-rmse:1.25000e-01"
    values, _ = values_in([line], compile_metrics(own))
    assert {name: value for _, name, value in values} == {"train:rmse": 0.5, "validation:rmse": 0.125}
    assert definitions_of({**request, "HyperParameters": {"sagemaker_program": '"a.py"'}}) == []
    assert definitions_of({"AlgorithmSpecification": {"TrainingImage": "mine:1"}}) == []
