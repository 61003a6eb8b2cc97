"""Transform jobs through boto3, on each runner: a model that answers each line, and says what it was asked."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.endpoints.served import Served

if TYPE_CHECKING:
    from tests.site import Site

SCRIPT = """
import os, time
def model_fn(directory):
    return open(os.path.join(directory, "name")).read()
def transform_fn(model, body, content_type, accept):
    text = body.decode() if isinstance(body, bytes) else body
    if "bad" in text:
        raise ValueError("a bad record")
    if "slow" in text:
        time.sleep(1)
    if accept == "application/jsonlines":
        return "\\n".join('{"n": %d}' % len(line) for line in text.splitlines()), accept
    lines = [str(sum(float(x) for x in line.split(","))) for line in text.splitlines() if line]
    return "\\n".join(lines), accept
"""
GROUP = "/aws/sagemaker/TransformJobs"
WAIT = {"Delay": 1, "MaxAttempts": 120}


class Job:
    """One job over objects of its own."""

    def __init__(self, site: Site, objects: dict[str, bytes], **request: Any) -> None:
        self.site, self.name = site, f"job-{uuid.uuid4().hex[:8]}"
        self.input, self.output = (f"s3://{site.bucket}/{self.name}/{folder}/" for folder in ("in", "out"))
        for key, body in objects.items():
            site.s3.put_object(Bucket=site.bucket, Key=f"{self.name}/in/{key}", Body=body)
        given = request.pop("TransformInput", {})
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.input}}
        self.request = {
            "TransformJobName": self.name,
            "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line", **given},
            "TransformOutput": {
                "S3OutputPath": self.output,
                "Accept": "text/csv",
                "AssembleWith": "Line",
                **request.pop("TransformOutput", {}),
            },
            "TransformResources": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                **request.pop("TransformResources", {}),
            },
            **request,
        }
        site.sagemaker.create_transform_job(**self.request)

    def ended(self) -> dict[str, Any]:
        """Wait for its end; WaiterError where it fails."""
        waiter = self.site.sagemaker.get_waiter("transform_job_completed_or_stopped")
        waiter.wait(TransformJobName=self.name, WaiterConfig=WAIT)
        return self.described()

    def said(self) -> list[str]:
        """Return the lines of its data logs."""
        answer = self.site.client("logs").filter_log_events(logGroupName=GROUP, logStreamNamePrefix=self.name)
        return [each["message"] for each in answer["events"] if each["logStreamName"].endswith("/data-log")]

    def described(self) -> dict[str, Any]:
        """Return what Describe answers."""
        return dict(self.site.sagemaker.describe_transform_job(TransformJobName=self.name))

    def outputs(self) -> dict[str, bytes]:
        """Return its output objects, by the keys below the output's prefix."""
        listed = self.site.s3.list_objects_v2(Bucket=self.site.bucket, Prefix=f"{self.name}/out/").get("Contents", [])
        read = {
            each["Key"]: self.site.s3.get_object(Bucket=self.site.bucket, Key=each["Key"])["Body"].read()
            for each in listed
        }
        return {key.partition("/out/")[2]: body for key, body in read.items()}


@pytest.fixture
def model(site: Site) -> str:
    served = Served(site)
    return served.model(served.container("sum", SCRIPT))


def test_every_object_is_scored_joined_and_filtered(site: Site, model: str) -> None:
    objects = {"a.csv": b"id1,1,2\nid2,3,4\n", "deep/b.csv": b"id3,5,6"}
    job = Job(
        site,
        objects,
        ModelName=model,
        BatchStrategy="MultiRecord",
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        TransformResources={"InstanceCount": 2},
        Tags=[{"Key": "team", "Value": "a"}],
    )
    described = job.ended()
    assert described["TransformJobStatus"] == "Completed", described
    assert described["TransformStartTime"] <= described["TransformEndTime"]
    assert job.outputs() == {"a.csv.out": b"id1,3.0\nid2,7.0\n", "deep/b.csv.out": b"id3,11.0\n"}
    assert (
        site.sagemaker.list_transform_jobs(NameContains=job.name)["TransformJobSummaries"][0]["TransformJobArn"]
        == described["TransformJobArn"]
    )
    groups = site.client("logs").describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=job.name)
    assert len(groups["logStreams"]) == 2


def test_a_failing_record_fails_the_job_says_why_and_keeps_the_rest(local: Site) -> None:
    served = Served(local)
    model = served.model(served.container("sum", SCRIPT))
    objects = {"a.csv": b"1,2\n", "b.csv": b"1,bad\n", "c.csv.gz": b"3,4\n"}
    job = Job(
        local, objects, ModelName=model, BatchStrategy="SingleRecord", ModelClientConfig={"InvocationsMaxRetries": 0}
    )
    with pytest.raises(WaiterError, match="Failed"):
        job.ended()
    assert job.described()["FailureReason"].startswith("ClientError: See job logs")
    assert job.outputs() == {"a.csv.out": b"3.0\n", "c.csv.gz.out": b"7.0\n"}
    assert any("b.csv: ClientError: 500" in line for line in job.said())


def test_compressed_json_lines_and_whole_objects(local: Site) -> None:
    served = Served(local)
    model = served.model(served.container("sum", SCRIPT))
    kind = "application/jsonlines"
    lines = b"".join(json.dumps({"id": n, "text": "x" * n}).encode() + b"\n" for n in range(20))
    job = Job(
        local,
        {"a": gzip.compress(lines)},
        ModelName=model,
        TransformInput={"ContentType": kind, "CompressionType": "Gzip"},
        TransformOutput={"Accept": kind},
        DataProcessing={"InputFilter": "$.text", "JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
        MaxConcurrentTransforms=4,
        BatchStrategy="SingleRecord",
    )
    whole = Job(local, {"b": b"1,2\n3,4\n"}, ModelName=model, TransformInput={"SplitType": "None"}, MaxPayloadInMB=0)
    assert job.ended()["TransformJobStatus"] == "Completed"
    rows = [json.loads(line) for line in job.outputs()["a.out"].splitlines()]
    assert rows == [{"id": n, "SageMakerOutput": {"n": n + 2}} for n in range(20)]
    assert whole.ended()["TransformJobStatus"] == "Completed"
    assert whole.outputs() == {"b.out": b"3.0\n7.0\n"}


def test_what_was_captured_is_listed_and_answers_have_ids(local: Site) -> None:
    served = Served(local)
    model = served.model(served.container("sum", SCRIPT))
    captured = f"s3://{local.bucket}/captured"
    capture = {"DestinationS3Uri": captured, "GenerateInferenceId": True}
    job = Job(local, {"a.csv": b"1,2\n3,4\n"}, ModelName=model, DataCaptureConfig=capture)
    began = job.ended()["TransformStartTime"].astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [line.split(",") for line in job.outputs()["a.csv.out"].decode().splitlines()]
    assert [(row[0], row[2]) for row in rows] == [("3.0", began), ("7.0", began)]
    assert len({uuid.UUID(row[1]) for row in rows}) == 2
    manifests = {key.split("/")[1]: json.loads(local.read(f"{captured}{key}")) for key in local.keys(captured)}
    assert manifests["output"] == [{"prefix": job.output}, "a.csv.out"]
    assert manifests["input"] == [{"prefix": f"s3://{local.bucket}/"}, f"{job.name}/in/a.csv"]


def test_a_stop_keeps_what_is_done(local: Site) -> None:
    served = Served(local)
    model = served.model(served.container("sum", SCRIPT.replace("raise ValueError", "time.sleep(5); raise ValueError")))
    job = Job(local, {"a.csv": b"1,2\n", "b.csv": b"bad\n"}, ModelName=model)
    deadline = time.monotonic() + 60
    while not job.outputs():
        assert time.monotonic() < deadline, job.described()
        time.sleep(0.1)
    local.sagemaker.stop_transform_job(TransformJobName=job.name)
    assert job.described()["TransformJobStatus"] in {"Stopping", "Stopped"}
    assert job.ended()["TransformJobStatus"] == "Stopped"
    assert job.outputs() == {"a.csv.out": b"3.0\n"}


def test_what_cannot_be_transformed_fails_with_its_reason(local: Site) -> None:
    served = Served(local)
    model = served.model(served.container("sum", SCRIPT))
    missing = Job(local, {}, ModelName=model)
    broken = served.model({**served.container("sum"), "ModelDataUrl": f"s3://{local.bucket}/none/model.tar.gz"})
    without = Job(local, {"a": b"1"}, ModelName=broken)
    for job, reason in ((missing, "no objects under"), (without, "Failed to download model data")):
        with pytest.raises(WaiterError, match="Failed"):
            job.ended()
        assert reason in job.described()["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ModelName": "none"}, "Could not find model"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must not exceed 100"),
        ({"DataProcessing": {"InputFilter": "$..a"}}, "Invalid JSONPath"),
        ({"DataProcessing": {"InputFilter": "$.a"}}, "a row has no keys"),
        ({"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"AssembleWith": "None"}}, "needs Line"),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "application/json"}},
            "same content type",
        ),
        ({"TransformOutput": {"S3OutputPath": "s3://no-such-bucket-anywhere/x"}}, "does not exist"),
    ],
)
def test_bad_requests_are_refused_and_change_nothing(local: Site, changes: dict[str, Any], sentence: str) -> None:
    model: Any = {"ModelName": "m", "ExecutionRoleArn": local.role, "PrimaryContainer": {"Image": "image:1"}}
    local.sagemaker.create_model(**model)
    with pytest.raises(ClientError, match=sentence):
        Job(local, {"a": b"1"}, **{"ModelName": "m", **changes})
    assert local.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []
