"""What a training container finds and what becomes of what it leaves, on every runner (contract: training.md §1-§6, §10)."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.site import RUN_SCRIPT, SCIKIT_LEARN, channel

if TYPE_CHECKING:
    from tests.site import Site

SHOW = """
import json, os, pathlib, sys
ml = pathlib.Path("/opt/ml")
config = {p.name: json.loads(p.read_text()) for p in (ml / "input/config").iterdir()}
seen = {"config": config, "env": dict(os.environ), "argv": sys.argv[1:], "cwd": os.getcwd()}
(ml / "model/seen.json").write_text(json.dumps(seen))
(ml / "output/data/sub").mkdir()
(ml / "output/data/sub/extra.txt").write_text("extra")
print("hello")
print("to stderr", file=sys.stderr)
"""


def test_a_job_finds_what_the_contract_says(site: Site) -> None:
    hyperparameters = {"epochs": "3", "text": '"quoted" ü', "empty": ""}
    data = site.upload({"a.csv": "1,2\n"})
    job = site.run(
        SHOW,
        [channel("train", data, ContentType="text/csv")],
        HyperParameters=hyperparameters,
        Environment={"MY_VARIABLE": "mine", "AWS_REGION": "elsewhere-1"},
        algorithm={"ContainerArguments": ["--first", "two words"]},
    )
    name = job["TrainingJobName"]
    seen = json.loads(site.artifact(job)["seen.json"])
    assert seen["config"]["hyperparameters.json"] == hyperparameters
    one = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    assert seen["config"]["inputdataconfig.json"] == {"code": one, "train": {"ContentType": "text/csv", **one}}
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
    assert seen["config"]["resourceconfig.json"] == {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "eth0" if site.runner == "docker" else "lo",
    }
    assert seen["argv"] == ["--first", "two words"]
    env = seen["env"]
    assert (env["TRAINING_JOB_NAME"], env["TRAINING_JOB_ARN"]) == (name, job["TrainingJobArn"])
    assert (env["MY_VARIABLE"], env["AWS_REGION"], env["AWS_DEFAULT_REGION"]) == ("mine", "elsewhere-1", "us-east-1")
    assert not [variable for variable in env if variable.startswith("PYTEST")]


def test_outputs_and_logs_are_where_aws_puts_them(site: Site) -> None:
    job = site.run(SHOW)
    name = job["TrainingJobName"]
    base = f"s3://{site.bucket}/out/{name}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"{base}/model.tar.gz"
    assert set(site.artifact(job)) == {"seen.json"}
    assert site.archive(f"{base}/output.tar.gz") == {"sub/extra.txt": b"extra"}
    streams = site.streams(f"{name}/")
    assert len(streams) == 1
    assert re.fullmatch(rf"{name}/algo-1-\d+", streams[0])
    lines = site.lines(name)
    assert "hello" in lines
    assert "to stderr" in lines


@pytest.mark.same_on_docker
def test_the_course_of_a_job_is_recorded(site: Site) -> None:
    job = site.run("print(1)")
    passed = [entry["Status"] for entry in job["SecondaryStatusTransitions"]]
    assert passed in (
        ["Starting", "Downloading", "Training", "Uploading", "Completed"],
        ["Starting", "Pending", "Downloading", "Training", "Uploading", "Completed"],
    )
    assert job["SecondaryStatus"] == "Completed"
    entries = job["SecondaryStatusTransitions"]
    assert all(entry["StartTime"] <= entry["EndTime"] for entry in entries)
    assert [entry["StatusMessage"] for entry in entries if entry["Status"] == "Starting"] == [
        "Starting the training job"
    ]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert "FailureReason" not in job


@pytest.mark.same_on_docker
def test_uncompressed_outputs(site: Site) -> None:
    output = {"S3OutputPath": f"s3://{site.bucket}/plain", "CompressionType": "NONE"}
    job = site.run(SHOW, OutputDataConfig=output)
    base = f"s3://{site.bucket}/plain/{job['TrainingJobName']}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"{base}/model/"
    assert sorted(site.keys(f"{base}/")) == ["data/sub/extra.txt", "model/seen.json"]


@pytest.mark.same_on_docker
def test_a_job_that_leaves_nothing_stores_nothing(site: Site) -> None:
    job = site.run("print('nothing')")
    assert site.keys(f"s3://{site.bucket}/out/{job['TrainingJobName']}/") == []


@pytest.mark.same_on_docker
def test_several_metrics_of_one_line(site: Site) -> None:
    code = """
for n in range(3):
    print(f"[{n}]\\ttrain-rmse:{3 - n}.5\\tvalidation-rmse:{4 - n}.25", flush=True)
print("loss=nan accuracy: 9e-1;")
"""
    definitions = [
        {"Name": "train:rmse", "Regex": r".*\[[0-9]+\].*#011train-rmse:(\S+)"},
        {"Name": "validation:rmse", "Regex": r".*\[[0-9]+\].*#011validation-rmse:(\S+)"},
        {"Name": "accuracy", "Regex": "accuracy: ([0-9e.-]+);"},
        {"Name": "never", "Regex": "never (.*)"},
    ]
    job = site.run(code, algorithm={"MetricDefinitions": definitions})
    metrics = {entry["MetricName"]: entry["Value"] for entry in job["FinalMetricDataList"]}
    assert metrics == {"train:rmse": 1.5, "validation:rmse": 2.25, "accuracy": 0.9}
    # As the SDK's TrainingJobAnalytics asks for them.
    requested = {
        "Namespace": "/aws/sagemaker/TrainingJobs",
        "Dimensions": [{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        "StartTime": job["TrainingStartTime"],
        "EndTime": job["TrainingEndTime"] + timedelta(minutes=1),
        "Period": 60,
        "Statistics": ["SampleCount", "Minimum"],
    }
    points = site.client("cloudwatch").get_metric_statistics(MetricName="train:rmse", **requested)["Datapoints"]
    assert (sum(point["SampleCount"] for point in points), min(point["Minimum"] for point in points)) == (3.0, 1.5)


def test_a_boto3_call_inside_the_job_comes_back_to_this_account(site: Site) -> None:
    code = """
import boto3, os
boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="from-the-job", Body=b"x" * 100)
print(boto3.client("sts").get_caller_identity()["Arn"])
print(len(boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]))
"""
    job = site.run(code, Environment={"BUCKET": site.bucket})
    assert site.read(f"s3://{site.bucket}/from-the-job") == b"x" * 100
    lines = site.lines(job["TrainingJobName"])
    assert any(f":sts::{site.account}:assumed-role/SageMakerExecutionRole/" in line for line in lines), lines
    assert "1" in lines


def test_an_isolated_job_has_neither_network_nor_credentials(site: Site) -> None:
    code = """
import os, socket
print(sorted(name for name in os.environ if name.startswith("AWS_") and name not in ("AWS_REGION", "AWS_DEFAULT_REGION")))
host, port = os.environ["SERVER"].split(":")
for place in ((host, int(port)), ("172.17.0.1", int(port)), ("8.8.8.8", 53)):
    try:
        socket.create_connection(place, timeout=2)
        print("reached", place)
    except OSError as error:
        print("unreachable")
"""
    server = site.live.url.removeprefix("http://")
    job = site.run(code, EnableNetworkIsolation=True, Environment={"SERVER": server})
    lines = site.lines(job["TrainingJobName"])
    assert lines.count("unreachable") == 3, lines
    assert "[]" in lines


def test_entrypoint_and_arguments_replace_the_images_own(site: Site) -> None:
    algorithm = {
        "TrainingImage": SCIKIT_LEARN,
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/sh", "-c"],
        "ContainerArguments": ["echo one two > /opt/ml/model/said"],
    }
    request = site.request(AlgorithmSpecification=algorithm)
    site.sagemaker.create_training_job(**request)
    job = site.ended(request["TrainingJobName"])
    assert site.artifact(job) == {"said": b"one two\n"}, job
    assert RUN_SCRIPT[0] == "python"  # what all other tests go by


def test_instance_types_are_capped_and_the_log_says_so(site: Site) -> None:
    resources = {"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    job = site.run("print('ran')", ResourceConfig=resources)
    assert any("ml.m5.24xlarge has 96 vCPUs" in line for line in site.lines(job["TrainingJobName"]))
