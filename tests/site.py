"""A customer's place on a server: an account with a bucket and a role, and short ways to train and to serve there."""

from __future__ import annotations

import io
import json
import tarfile
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.conftest import LiveServer

REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SCIKIT_LEARN = f"{REGISTRY}/sagemaker-scikit-learn:1.4-2"
XGBOOST = f"{REGISTRY}/sagemaker-xgboost:3.0-5"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
INFERENCE = "localmaker/inference"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
WAIT_S = 120.0
RUN_SCRIPT = ["python", "-u", "/opt/ml/input/data/code/job.py"]


@dataclass
class Site:
    """See the module. Clients have no retries, so that nothing is hidden."""

    live: LiveServer
    account: str
    runner: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a client, made once; a restarted server has another URL, so then it is made again."""
        key = f"{service} {self.live.url}"
        if key not in self.clients:
            self.clients[key] = self.live.client(service, self.account)
        return self.clients[key]

    @property
    def sagemaker(self) -> Any:
        """The control plane."""
        return self.client("sagemaker")

    @property
    def s3(self) -> Any:
        """The account's objects."""
        return self.client("s3")

    @property
    def runtime(self) -> Any:
        """The client of the endpoints' runtime."""
        return self.client("sagemaker-runtime")

    @cached_property
    def bucket(self) -> str:
        """A bucket of this site's own."""
        name = f"site-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=name)
        return name

    @cached_property
    def role(self) -> str:
        """The seeded execution role."""
        arn: str = self.client("iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        return arn

    def close(self) -> None:
        """Close all connections."""
        for client in self.clients.values():
            client.close()

    def upload(self, files: Mapping[str, bytes | str]) -> str:
        """Store objects under a prefix of their own; give its URI, which ends with a slash."""
        prefix = uuid.uuid4().hex[:8]
        for key, content in files.items():
            body = content.encode() if isinstance(content, str) else content
            self.s3.put_object(Bucket=self.bucket, Key=f"{prefix}/{key}", Body=body)
        return f"s3://{self.bucket}/{prefix}/"

    def request(self, **members: Any) -> dict[str, Any]:
        """Return a CreateTrainingJob request of one host; members given replace whole members."""
        return {
            "TrainingJobName": f"job-{uuid.uuid4().hex[:10]}",
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **members,
        }

    def start(self, code: str, channels: Iterable[dict[str, Any]] = (), **members: Any) -> str:
        """Create a job that runs Python `code`, which it finds in its channel `code`; give its name."""
        algorithm = {
            "TrainingImage": SCIKIT_LEARN,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": RUN_SCRIPT,
            **members.pop("algorithm", {}),
        }
        script = channel("code", self.upload({"job.py": code}))
        request = self.request(AlgorithmSpecification=algorithm, InputDataConfig=[script, *channels], **members)
        self.sagemaker.create_training_job(**request)
        name: str = request["TrainingJobName"]
        return name

    def run(self, code: str, channels: Iterable[dict[str, Any]] = (), **members: Any) -> dict[str, Any]:
        """Run such a job to its end; give its description, which must say Completed."""
        name = self.start(code, channels, **members)
        job = self.ended(name)
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), self.lines(name))
        return job

    def ended(self, name: str) -> dict[str, Any]:
        """Wait for a job's end, however it ends; give its description."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            if job["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"}:
                return job
            time.sleep(0.05)
        raise AssertionError(f"{name} did not end: {self.lines(name)}")

    def streams(self, prefix: str, group: str = LOG_GROUP) -> list[str]:
        """Return the names of log streams; none where the group is not there yet."""
        logs = self.client("logs")
        try:
            given = {"logStreamNamePrefix": prefix} if prefix else {}
            described = logs.describe_log_streams(logGroupName=group, **given)["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [stream["logStreamName"] for stream in described]

    def lines(self, job: str, host: str = "algo-1", group: str = LOG_GROUP) -> list[str]:
        """Return what a host has printed, from its log stream, page by page."""
        logs = self.client("logs")
        texts: list[str] = []
        for stream in self.streams(f"{job}/{host}", group):
            token: dict[str, Any] = {}
            while True:
                page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **token)
                texts += [event["message"] for event in page["events"]]
                if token.get("nextToken") == page["nextForwardToken"]:
                    break
                token = {"nextToken": page["nextForwardToken"]}
        return texts

    def printed(self, name: str, text: str) -> None:
        """Wait until a job has printed a line."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.lines(name):
            assert time.monotonic() < deadline, f"{text!r} never came: {self.lines(name)}"
            time.sleep(0.05)

    def keys(self, uri: str) -> list[str]:
        """Return the keys below a URI, relative to it."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"][len(prefix) :] for page in pages for entry in page.get("Contents", [])]

    def read(self, uri: str) -> bytes:
        """Read an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def archive(self, uri: str) -> dict[str, bytes]:
        """Read a tar.gz: its regular files by name."""
        with tarfile.open(fileobj=io.BytesIO(self.read(uri))) as packed:
            members = [member for member in packed.getmembers() if member.isfile()]
            return {member.name: packed.extractfile(member).read() for member in members}  # type: ignore[union-attr]

    def artifact(self, job: dict[str, Any]) -> dict[str, bytes]:
        """Read a job's model.tar.gz."""
        return self.archive(job["ModelArtifacts"]["S3ModelArtifacts"])

    def move_clock(self, seconds: float) -> None:
        """Move this account's clock forward."""
        self._admin("clock", {"account": self.account, "offset_s": seconds})

    def reset(self) -> None:
        """Forget this account."""
        self._admin("reset", {"account": self.account})

    def _admin(self, what: str, document: dict[str, Any]) -> None:
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.live.url}/_localmaker/{what}", json.dumps(document).encode(), kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def channel(name: str, uri: str, **members: Any) -> dict[str, Any]:
    """Return an entry of InputDataConfig; S3DataSource's members may be given too."""
    known = ("S3DataType", "S3DataDistributionType", "AttributeNames", "InstanceGroupNames")
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, **{key: members.pop(key) for key in known if key in members}}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **members}


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """Make a tar.gz."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            body = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return target.getvalue()
