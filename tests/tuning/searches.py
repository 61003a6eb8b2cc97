"""Searches over a quick script, as tests ask for them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.site import SCIKIT_LEARN, WAIT_S, XGBOOST, channel, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site import Site

# The best x is 0.3, the best c is b.
SCRIPT = """
import json
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
assert given["_tuning_objective_metric"] == "loss" and given["static"] == "1", given
print("loss=%.9f;" % ((float(given.get("x", "0.3")) - 0.3) ** 2 + (given.get("c", "b") != "b")))
"""
X = {"Name": "x", "MinValue": "0", "MaxValue": "1"}
C = {"Name": "c", "Values": ["a", "b", "d"]}
D = {"Name": "d", "Values": ["1", "2"]}
E = {"Name": "e", "Values": ["3", "4"]}
BOTH = {"ContinuousParameterRanges": [X], "CategoricalParameterRanges": [C]}
BUILT_IN: dict[str, Any] = {
    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:logloss"},
    "ParameterRanges": {"IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "6"}]},
}
"""What config is to search for with it."""
ENDED = {"Completed", "Failed", "Stopped"}


def definition(site: Site, script: str = SCRIPT, **members: Any) -> dict[str, Any]:
    """Return a training job definition that runs a script."""
    code = site.upload({"sourcedir.tar.gz": packed({"train.py": script})})
    submitted = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"{code}sourcedir.tar.gz"}
    return {
        "AlgorithmSpecification": {
            "TrainingImage": SCIKIT_LEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        "RoleArn": site.role,
        "StaticHyperParameters": {"static": "1", **submitted},
        "OutputDataConfig": {"S3OutputPath": f"s3://{site.bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **members,
    }


def built_in(site: Site) -> dict[str, Any]:
    """Return a training job definition of XGBoost, which needs no metric definitions and, once it runs, no server."""
    data = site.upload({"train/a.csv": "".join(f"{n % 2},{n},{n * n % 7}\n" for n in range(40))})
    return {
        **definition(site),
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "StaticHyperParameters": {"num_round": "3", "objective": "binary:logistic"},
        "InputDataConfig": [channel(n, f"{data}train/", ContentType="text/csv") for n in ("train", "validation")],
    }


def config(strategy: str = "Random", jobs: int = 4, parallel: int = 2, **members: Any) -> dict[str, Any]:
    """Return a HyperParameterTuningJobConfig that minimizes the loss."""
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
        "ParameterRanges": BOTH,
        **members,
    }


def begin(site: Site, configured: dict[str, Any], defined: dict[str, Any], **members: Any) -> str:
    """Create a tuning job; return its name."""
    name = f"tune-{uuid.uuid4().hex[:10]}"
    site.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=configured,
        TrainingJobDefinition=defined,
        **members,
    )
    return name


def described(site: Site, name: str) -> dict[str, Any]:
    """Describe a tuning job."""
    job: dict[str, Any] = site.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return job


def ended(site: Site, name: str) -> dict[str, Any]:
    """Wait for the end of a tuning job, however it ends; return its description."""
    deadline = time.monotonic() + WAIT_S
    while (job := described(site, name))["HyperParameterTuningJobStatus"] not in ENDED:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def trials(site: Site, name: str, **members: Any) -> list[dict[str, Any]]:
    """Return the summaries of all training jobs, page by page."""
    pages = site.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, **members
    )
    return [summary for page in pages for summary in page["TrainingJobSummaries"]]


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Return the code and the message of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
