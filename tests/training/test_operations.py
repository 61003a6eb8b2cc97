"""What CreateTrainingJob refuses, and Describe, List, Update, Delete and the waiters, through boto3."""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from backends.jobs import checkpoints
from backends.jobs.opt_ml import make_open
from backends.jobs.spec import HostSpec
from tests.site import channel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site import Site

SLEEP = "import time; print('up', flush=True); time.sleep({})"


def refused(site: Site, request: dict[str, Any]) -> tuple[str, str]:
    """Return the code and message with which a request is refused."""
    with pytest.raises(ClientError) as caught:
        site.sagemaker.create_training_job(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_name_is_taken_once(local: Site) -> None:
    job = local.run("print(1)")
    code, message = refused(local, local.request(TrainingJobName=job["TrainingJobName"]))
    assert code == "ResourceInUse"
    assert job["TrainingJobArn"] in message


def test_missing_data_is_refused_at_once_in_aws_words(local: Site) -> None:
    uri = f"s3://{local.bucket}/nothing/here"
    code, message = refused(local, local.request(InputDataConfig=[channel("train", uri)]))
    assert code == "ValidationException"
    assert message == (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
        "the selected region (us-east-1), that objects exist under that S3 prefix, and that the role "
        f'"{local.role}" has "s3:ListBucket" permissions on bucket "{local.bucket}".'
    )


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-here/x"}}, "does not exist"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 20}}, "EnableManagedSpotTraining"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds is required"),
        ({"ResourceConfig": {"VolumeSizeInGB": 1}}, "InstanceType and InstanceCount are required"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "Exactly one of TrainingImage and AlgorithmName"),
        ({"CheckpointConfig": {"S3Uri": "s3://no-such-bucket-here/x"}}, "CheckpointConfig"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0, "VolumeSizeInGB": 1}}, "at least 1"),
    ],
)
def test_what_cannot_work_is_refused(local: Site, members: dict[str, Any], sentence: str) -> None:
    code, message = refused(local, local.request(**members))
    assert code == "ValidationException"
    assert sentence in message


@pytest.mark.parametrize("path", ["/opt/ml/../../etc", "relative", "/opt//ml/", "//opt/ml/.", "//", "/proc/x"])
def test_checkpoints_stay_in_their_directory(local: Site, path: str) -> None:
    config = {"S3Uri": f"s3://{local.bucket}/checkpoints", "LocalPath": path}
    code, message = refused(local, local.request(CheckpointConfig=config))
    assert code == "ValidationException"
    assert "LocalPath" in message


@pytest.mark.parametrize("path", ["/opt/ml//x", "//opt/ml/x/", "/opt/ml/./x"])
def test_a_checkpoint_directory_with_odd_slashes_stays_below_opt_ml(path: str, tmp_path: Path) -> None:
    host = HostSpec("algo-1", tmp_path / "algo-1" / "ml")
    local, mounts = checkpoints._directory(host, path)
    assert (local, mounts) == (host.opt_ml / "x", ())
    assert local.stat().st_mode & 0o777 == 0o777
    with pytest.raises(ValueError, match="not in the subpath"):
        make_open(tmp_path / "elsewhere", above=host.opt_ml)
    assert not (tmp_path / "elsewhere").exists()


def test_another_accounts_bucket_is_no_place_for_a_job(local: Site) -> None:
    from tests.conftest import ACCOUNTS

    other = local.live.client("s3", f"{next(ACCOUNTS):012d}")
    other.create_bucket(Bucket="somebody-elses")
    other.put_object(Bucket="somebody-elses", Key="data/a", Body=b"1")
    code, message = refused(local, local.request(OutputDataConfig={"S3OutputPath": "s3://somebody-elses/x"}))
    assert code == "ValidationException"
    assert "is not this account's" in message
    entry = channel("train", "s3://somebody-elses/data/")
    code, message = refused(local, local.request(InputDataConfig=[entry]))
    assert "No S3 objects found" in message


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"InputMode": "FastFile", "S3DataType": "ManifestFile"}, "cannot be used with input mode FastFile"),
        ({"CompressionType": "Gzip"}, "needs input mode Pipe"),
        ({"InputMode": "Pipe", "S3DataType": "AugmentedManifestFile"}, "AttributeNames is required"),
        ({"InstanceGroupNames": ["nobody"]}, "no instance group is named nobody"),
    ],
)
def test_channels_that_cannot_be_delivered_are_refused(local: Site, entry: dict[str, Any], sentence: str) -> None:
    uri = local.upload({"a": "1"})
    code, message = refused(local, local.request(InputDataConfig=[channel("train", uri, **entry)]))
    assert code == "ValidationException"
    assert sentence in message


@pytest.mark.parametrize("member", ["AlgorithmSpecification", "ResourceConfig"])
def test_what_the_model_lets_out_is_asked_for(local: Site, member: str) -> None:
    request = local.request()
    del request[member]
    assert refused(local, request)[0] == "ValidationException"


def test_a_regex_that_explodes_holds_up_nobody(local: Site) -> None:
    code = "print('a' * 5000 + '!'); print('loss=0.25')"
    metrics = [
        {"Name": "evil", "Regex": r"(?=a)((a+)+)$"},
        {"Name": "linear", "Regex": "((a+)+)$"},
        {"Name": "loss", "Regex": r"loss=(\S+)"},
    ]
    job = local.run(code, algorithm={"MetricDefinitions": metrics})
    assert {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]} == {"loss": 0.25}
    assert any("evil took more than" in line for line in local.lines(job["TrainingJobName"]))


def test_a_bad_metric_regex_is_refused(local: Site) -> None:
    request = local.request()
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "a", "Regex": "("}]
    assert "does not compile" in refused(local, request)[1]


def test_what_is_not_built_says_so(local: Site) -> None:
    rule = {"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}
    request = local.request(DebugRuleConfigurations=[rule])
    with pytest.raises(ClientError) as caught:
        local.sagemaker.create_training_job(**request)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_describe_gives_back_the_request_and_defaults(local: Site) -> None:
    request = local.request(HyperParameters={"a": "1"}, Tags=[{"Key": "k", "Value": "v"}])
    request["StoppingCondition"] = {}
    arn = local.sagemaker.create_training_job(**request)["TrainingJobArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:{local.account}:training-job/{request['TrainingJobName']}"
    job = local.ended(request["TrainingJobName"])
    assert job["HyperParameters"] == {"a": "1"}
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 86400
    assert (job["EnableNetworkIsolation"], job["EnableManagedSpotTraining"]) == (False, False)
    assert job["ResourceConfig"] == request["ResourceConfig"]
    assert local.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    with pytest.raises(ClientError, match="Requested resource not found"):
        local.sagemaker.describe_training_job(TrainingJobName="not-there")


def test_update_and_delete(local: Site) -> None:
    name = local.start(SLEEP.format(60))
    local.printed(name, "up")
    with pytest.raises(ClientError) as caught:
        local.sagemaker.delete_training_job(TrainingJobName=name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    local.sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": True})
    assert local.sagemaker.describe_training_job(TrainingJobName=name)["ProfilerConfig"]["DisableProfiler"] is True
    local.sagemaker.stop_training_job(TrainingJobName=name)
    local.ended(name)
    with pytest.raises(ClientError, match="cannot be updated"):
        local.sagemaker.update_training_job(TrainingJobName=name, ProfilerConfig={"DisableProfiler": False})
    local.sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        local.sagemaker.describe_training_job(TrainingJobName=name)


def test_lists_filter_sort_and_page(local: Site) -> None:
    tag = uuid.uuid4().hex[:6]
    names = [f"{tag}-{n}" for n in range(3)]
    for name in names:
        local.start("raise SystemExit(1)" if name.endswith("2") else "print(1)", TrainingJobName=name)
    for name in names:
        local.ended(name)
    pages = local.sagemaker.get_paginator("list_training_jobs")

    def listed(**members: Any) -> list[str]:
        summaries = pages.paginate(SortBy="Name", PaginationConfig={"PageSize": 1}, **members)
        return [entry["TrainingJobName"] for page in summaries for entry in page["TrainingJobSummaries"]]

    assert listed(NameContains=tag) == names
    assert listed(NameContains=tag, SortOrder="Descending") == names[::-1]
    assert listed(NameContains=tag, StatusEquals="Failed") == names[2:]
    job = local.sagemaker.describe_training_job(TrainingJobName=names[1])
    assert listed(NameContains=tag, CreationTimeAfter=job["CreationTime"]) in ([names[2]], names[1:])
    assert listed(NameContains=tag, CreationTimeBefore=job["CreationTime"]) in ([names[0]], names[:2])
    assert listed(WarmPoolStatusEquals="InUse") == []
    shown = local.sagemaker.list_training_jobs(NameContains=names[0])["TrainingJobSummaries"][0]
    assert {"TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime"} <= shown.keys()
    assert shown["TrainingJobStatus"] == "Completed"


def test_a_wait_ends_with_the_job(local: Site) -> None:
    name = local.start(SLEEP.format(1))
    local.sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
    seen = time.time()
    job = local.sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed"
    assert seen - job["TrainingEndTime"].timestamp() < 1.5


def test_a_wait_ends_with_a_failure_too(local: Site) -> None:
    name = local.start("raise SystemExit(1)")
    with pytest.raises(WaiterError, match="terminal failure state"):
        local.sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)


@pytest.mark.slow
def test_a_long_wait_keeps_an_impatient_client(local: Site) -> None:
    """White space keeps a read time-out of three seconds from firing during a job of eleven."""
    began = time.monotonic()  # before the job is: on a busy machine the client takes a second of its time
    name = local.start(SLEEP.format(11))
    client = local.live.client("sagemaker", local.account, read_timeout=3)
    client.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 2}
    )
    seen = time.time()
    client.close()
    assert time.monotonic() - began > 10
    job = local.sagemaker.describe_training_job(TrainingJobName=name)
    assert seen - job["TrainingEndTime"].timestamp() < 2


def test_an_ordinary_describe_is_never_held(local: Site) -> None:
    name = local.start(SLEEP.format(60))
    waiting = threading.Thread(
        target=lambda: local.sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
    )
    waiting.start()
    local.printed(name, "up")
    began = time.monotonic()
    assert local.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    assert time.monotonic() - began < 1
    local.sagemaker.stop_training_job(TrainingJobName=name)
    waiting.join(30)
    assert not waiting.is_alive()


def test_reset_ends_what_an_account_runs(local: Site) -> None:
    name = local.start(SLEEP.format(300))
    local.printed(name, "up")
    local.reset()
    with pytest.raises(ClientError, match="Requested resource not found"):
        local.sagemaker.describe_training_job(TrainingJobName=name)
    deadline = time.monotonic() + 20
    while any(name in plan.read_text() for plan in local.live.data_dir.glob("jobs/*/attempt-1/supervisor/plan.json")):
        assert time.monotonic() < deadline, "the job of a reset account runs on"
        time.sleep(0.05)


def test_a_job_registers_what_it_leaves_in_the_group_that_it_names(local: Site) -> None:
    client = local.sagemaker
    arn = client.create_model_package_group(ModelPackageGroupName="g")["ModelPackageGroupArn"]
    config = {"ModelPackageGroupArn": arn}
    for compression, kinds in (("GZIP", ("S3Object", "Gzip")), ("NONE", ("S3Prefix", "None"))):
        place = {"S3OutputPath": f"s3://{local.bucket}/out", "CompressionType": compression}
        job = local.run("open('/opt/ml/model/m', 'w').write('1')", ModelPackageConfig=config, OutputDataConfig=place)
        made = client.describe_model_package(ModelPackageName=job["OutputModelPackageArn"])
        (container,) = made["InferenceSpecification"]["Containers"]
        source = container["ModelDataSource"]["S3DataSource"]
        assert source["S3Uri"] == job["ModelArtifacts"]["S3ModelArtifacts"]
        assert (source["S3DataType"], source["CompressionType"]) == kinds
        assert made["ModelPackageGroupName"] == "g"
    for code in ("raise SystemExit(1)", "print('no model')"):
        assert "OutputModelPackageArn" not in local.ended(local.start(code, ModelPackageConfig=config))
    assert len(client.list_model_packages(ModelPackageGroupName="g")["ModelPackageSummaryList"]) == 2
    source = {**config, "SourceModelPackageArn": job["OutputModelPackageArn"]}
    assert refused(local, local.request(ModelPackageConfig=source))[0] == "NotImplemented"
    unknown = {"ModelPackageGroupArn": arn.replace("/g", "/none")}
    assert refused(local, local.request(ModelPackageConfig=unknown))[0] == "ValidationException"


def test_a_job_whose_group_is_gone_at_its_end_fails_and_keeps_its_model(local: Site) -> None:
    client = local.sagemaker
    config = {
        "ModelPackageGroupArn": client.create_model_package_group(ModelPackageGroupName="g")["ModelPackageGroupArn"]
    }
    name = local.start(f"open('/opt/ml/model/m', 'w').write('1'); {SLEEP.format(1)}", ModelPackageConfig=config)
    client.delete_model_package_group(ModelPackageGroupName="g")
    job = local.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Model package registration failed: ")
    assert local.keys(f"s3://{local.bucket}/out/{name}/") == ["output/model.tar.gz"]
