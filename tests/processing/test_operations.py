"""CreateProcessingJob's refusals, Describe, List, Stop, Delete, and boto3's waiter."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from server.actions.sagemaker import done_with_the_role
from server.actions.types import ServiceRequest
from tests.processing.processor import cluster, ended, left, request, run, s3_input, s3_output, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site import Site


def refused(site: Site, made: dict[str, Any]) -> tuple[str, str]:
    """Return the code and the sentence of a refusal, after which nothing may be left."""
    with pytest.raises(ClientError) as caught:
        site.sagemaker.create_processing_job(**made)
    with pytest.raises(ClientError, match="Could not find requested job"):
        site.sagemaker.describe_processing_job(ProcessingJobName=made["ProcessingJobName"])
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize("verb", ["describe", "stop", "delete"])
def test_a_missing_job_is_a_validation_exception(local: Site, verb: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(local.sagemaker, f"{verb}_processing_job")(ProcessingJobName="not-there")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["Error"]["Message"] == "Could not find requested job with name: not-there"


def an_output(site: Site, **members: Any) -> dict[str, Any]:
    entry = s3_output("o", f"s3://{site.bucket}/o")
    return {"Outputs": [{**entry, "S3Output": {**entry["S3Output"], **members}}]}


Made = dict[str, Any]
BAD: dict[str, tuple[Callable[[Site], Made], str]] = {
    "path elsewhere": (lambda _: {"ProcessingInputs": [s3_input("i", "s3://b/k", "/opt/ml/input")]}, "/opt/ml/processing/"),
    "path upwards": (lambda _: {"ProcessingInputs": [s3_input("i", "s3://b/k", "/opt/ml/processing/../x")]}, "LocalPath"),
    "relative path": (lambda s: {"ProcessingOutputConfig": an_output(s, LocalPath="processing")}, "LocalPath"),
    "long name": (lambda s: {"ProcessingOutputConfig": an_output(s, LocalPath="/opt/ml/processing/" + "ü" * 130)}, "longer"),
    "a zero": (lambda s: {"ProcessingOutputConfig": an_output(s, LocalPath="/opt/ml/processing/a\0b")}, "LocalPath"),
    "same path": (
        lambda _: {"ProcessingInputs": [s3_input(n, "s3://b/k", f"/opt/ml/processing/x{'/' * k}") for k, n in enumerate("ab")]},
        "same LocalPath",
    ),
    "same name": (
        lambda _: {"ProcessingInputs": [s3_input("i", "s3://b/k", f"/opt/ml/processing/{n}") for n in "ab"]},
        "must be unique",
    ),
    "gzip file": (lambda _: {"ProcessingInputs": [s3_input("i", "s3://b/k", S3CompressionType="Gzip")]}, "Pipe"),
    "no bucket": (lambda s: {"ProcessingOutputConfig": an_output(s, S3Uri="s3://not-there-at-all/x")}, "does not exist"),
    "no place": (lambda _: {"ProcessingInputs": [s3_input("i", "https://.s3/k")]}, "is not an S3 URI"),
    "no source": (lambda _: {"ProcessingInputs": [{"InputName": "i"}]}, "S3Input is required"),
    "no path": (
        lambda _: {"ProcessingInputs": [{"InputName": "i", "S3Input": {"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}}]},
        "LocalPath is required",
    ),
    "no instance": (lambda _: {"ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 1}}}, "InstanceType"),
    "time": (lambda _: {"StoppingCondition": {"MaxRuntimeInSeconds": 777601}}, "less than or equal to 777600"),
    "arguments": (
        lambda _: {"AppSpecification": {"ImageUri": "x", "ContainerArguments": ["a"] * 101}},
        "less than or equal to 100",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused(local: Site, case: str) -> None:
    members, sentence = BAD[case]
    code, message = refused(local, request(local, **members(local)))
    assert code == "ValidationException"
    assert sentence in message


ATHENA = {"Catalog": "c", "Database": "d", "QueryString": "q", "OutputS3Uri": "s3://b/k", "OutputFormat": "PARQUET"}


@pytest.mark.parametrize(
    "members",
    [
        {"ProcessingInputs": [{"InputName": "i", "DatasetDefinition": {"AthenaDatasetDefinition": ATHENA}}]},
        {
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": "o", "AppManaged": True, "FeatureStoreOutput": {"FeatureGroupName": "g"}}]
            }
        },
        {
            "ProcessingResources": {
                "ClusterConfig": {"VolumeSizeInGB": 1, "InstancePreferences": [{"InstanceType": "ml.m5.large"}]}
            }
        },
    ],
)
def test_what_is_not_built_says_so(local: Site, members: Made) -> None:
    assert refused(local, request(local, **members))[0] == "NotImplemented"


def test_a_name_is_taken_once_until_it_is_deleted(local: Site) -> None:
    job = run(local, "print(1)", Tags=[{"Key": "k", "Value": "v"}])
    name, arn = job["ProcessingJobName"], job["ProcessingJobArn"]
    assert arn.endswith(f":processing-job/{name}")
    assert local.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    again = request(local, ProcessingJobName=name)
    with pytest.raises(local.sagemaker.exceptions.ResourceInUse, match="Job name must be unique"):
        local.sagemaker.create_processing_job(**again)
    with pytest.raises(ClientError, match="is in status Completed"):
        local.sagemaker.stop_processing_job(ProcessingJobName=name)
    local.sagemaker.delete_processing_job(ProcessingJobName=name)
    assert refused(local, request(local, ProcessingJobName=name, StoppingCondition={"MaxRuntimeInSeconds": 777601}))
    local.sagemaker.create_processing_job(**again)
    assert ended(local, name)["ProcessingJobStatus"] == "Failed", "it has no code"


def test_describe_returns_the_request_and_defaults(local: Site) -> None:
    experiment = {"ExperimentName": "e", "TrialName": "t", "TrialComponentDisplayName": "c"}
    network = {"EnableNetworkIsolation": True, "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}
    data = local.upload({"x": "1"})
    managed = {"InputName": "own", "AppManaged": True, "S3Input": {"S3Uri": "s3://any/where", "S3DataType": "S3Prefix"}}
    sent = {
        "OutputName": "own",
        "AppManaged": True,
        "S3Output": {"S3Uri": "s3://any/where", "S3UploadMode": "EndOfJob"},
    }
    name = start(
        local, "print(1)", [s3_input("data", data), managed], [sent], ExperimentConfig=experiment, NetworkConfig=network
    )
    job = ended(local, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert left(local, name) == {}
    assert (job["ExperimentConfig"], job["NetworkConfig"]) == (experiment, network)
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    assert [entry["AppManaged"] for entry in job["ProcessingInputs"]] == [False, False, True]
    assert [entry["AppManaged"] for entry in job["ProcessingOutputConfig"]["Outputs"]] == [False, True]
    assert job["ProcessingInputs"][1]["S3Input"]["S3CompressionType"] == "None"
    assert job["ProcessingResources"] == cluster(1)


def test_lists_filter_sort_and_page(local: Site) -> None:
    names = [start(local, f"raise SystemExit({n % 2})", ProcessingJobName=f"list-{n}") for n in range(3)]
    for name in names:
        ended(local, name)

    def listed(**given: Any) -> list[str]:
        pages = local.sagemaker.get_paginator("list_processing_jobs").paginate(**given)
        return [job["ProcessingJobName"] for page in pages for job in page["ProcessingJobSummaries"]]

    assert listed() == names  # Ascending is this operation's default
    assert listed(SortOrder="Descending", PaginationConfig={"PageSize": 1}) == names[::-1]
    assert listed(StatusEquals="Failed") == ["list-1"]
    assert listed(NameContains="ist-2") == ["list-2"]
    assert sorted(listed(SortBy="Status")) == names
    first = local.sagemaker.describe_processing_job(ProcessingJobName=names[0])
    assert listed(CreationTimeAfter=first["CreationTime"]) == names[1:]
    assert listed(LastModifiedTimeBefore=first["CreationTime"]) == []
    summary = local.sagemaker.list_processing_jobs(NameContains="list-1")["ProcessingJobSummaries"][0]
    assert {"ProcessingEndTime", "FailureReason", "ProcessingJobArn", "ProcessingJobStatus"} <= set(summary)


def test_a_wait_ends_with_the_job(local: Site) -> None:
    waiter = local.sagemaker.get_waiter("processing_job_completed_or_stopped")
    began = time.monotonic()
    waiter.wait(ProcessingJobName=start(local, "print(1)"))
    with pytest.raises(WaiterError):
        waiter.wait(ProcessingJobName=start(local, "raise SystemExit(1)"))
    assert time.monotonic() - began < 50, "the waiter's own delay is a minute"


def test_a_stop_before_the_container_runs_and_the_reset_of_an_account(local: Site) -> None:
    name = start(local, "import time; time.sleep(100)")
    local.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert ended(local, name)["ProcessingJobStatus"] == "Stopped"
    start(local, "import time; time.sleep(100)")
    local.reset()
    assert local.sagemaker.list_processing_jobs()["ProcessingJobSummaries"] == []


def test_a_bucket_that_lets_a_role_store_below_a_folder_takes_an_output_there(local: Site) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "NotResource": f"arn:aws:s3:::{local.bucket}/out/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = request(local, AppSpecification={"ImageUri": "localmaker/scikit_learn", "ContainerEntrypoint": ["true"]})
    local.s3.put_bucket_policy(Bucket=local.bucket, Policy=policy)
    outputs = {"Outputs": [s3_output("out", f"s3://{local.bucket}/out")]}
    elsewhere = {"Outputs": [s3_output("out", f"s3://{local.bucket}/outside")]}
    assert "does not exist or is not" in refused(local, {**made, "ProcessingOutputConfig": elsewhere})[1]
    local.sagemaker.create_processing_job(**made, ProcessingOutputConfig=outputs)
    assert ended(local, made["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"


def test_jobs_that_ended_are_shown_with_their_seconds(local: Site) -> None:
    job = ended(local, start(local, "raise SystemExit(1)"))
    with urllib.request.urlopen(f"{local.live.url}/_localmaker/jobs?ended=true", timeout=10) as answer:
        shown = {each["arn"]: each for each in json.load(answer)["ended"]}[job["ProcessingJobArn"]]
    assert (shown["kind"], shown["status"], shown["reason"]) == ("ProcessingJob", "Failed", job["FailureReason"])
    assert shown["seconds"] == round((job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds(), 1)


def test_what_the_jobs_role_does_is_asked_of_its_policies() -> None:
    given = {
        "RoleArn": "arn:aws:iam::1:role/r",
        "ProcessingInputs": [s3_input("i", "s3://in/data")],
        "ProcessingOutputConfig": {"Outputs": [s3_output("o", "s3://out/made")]},
    }
    authorized = {
        (a.action, a.resource) for a in done_with_the_role(ServiceRequest("sagemaker", "CreateProcessingJob", given))
    }
    assert ("s3:GetObject", "arn:aws:s3:::in/data*") in authorized
    assert ("s3:PutObject", "arn:aws:s3:::out/made*") in authorized
    assert not [resource for action, resource in authorized if action == "s3:GetObject" and "out" in resource]
