"""Short ways to run processing jobs at a site."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from tests.site import SCIKIT_LEARN, WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.site import Site

LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
CODE = "/opt/ml/processing/input/code"
RUN_SCRIPT = ["python3", "-u", f"{CODE}/job.py"]


def s3_input(name: str, uri: str, path: str = "", **members: Any) -> dict[str, Any]:
    """Return an entry of ProcessingInputs."""
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "S3InputMode": "File", **members}
    return {"InputName": name, "S3Input": {**source, "LocalPath": path or f"/opt/ml/processing/{name}"}}


def s3_output(name: str, uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    """Return an entry of ProcessingOutputConfig's Outputs, at /opt/ml/processing/<name>."""
    target = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3UploadMode": mode}
    return {"OutputName": name, "S3Output": target}


def request(site: Site, **members: Any) -> dict[str, Any]:
    """Return a CreateProcessingJob request of one host; members given replace whole members."""
    return {
        "ProcessingJobName": f"processing-{uuid.uuid4().hex[:10]}",
        "RoleArn": site.role,
        "AppSpecification": {"ImageUri": SCIKIT_LEARN, "ContainerEntrypoint": RUN_SCRIPT},
        "ProcessingResources": cluster(1),
        **members,
    }


def cluster(count: int) -> dict[str, Any]:
    """Return ProcessingResources of so many hosts."""
    return {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}}


def start(
    site: Site,
    code: str,
    inputs: Iterable[Any] = (),
    outputs: Iterable[Any] = (),
    arguments: Any = None,
    **members: Any,
) -> str:
    """Create a job that runs Python `code`; return its name. Its output `out` goes to `site.bucket`'s `out/<name>`."""
    script = s3_input("code", site.upload({"job.py": code}), CODE)
    made = request(site, ProcessingInputs=[script, *inputs], **members)
    out = s3_output("out", f"s3://{site.bucket}/out/{made['ProcessingJobName']}")
    made["ProcessingOutputConfig"] = {"Outputs": [out, *outputs]}
    if arguments:
        made["AppSpecification"] = {**made["AppSpecification"], "ContainerArguments": arguments}
    site.sagemaker.create_processing_job(**made)
    return str(made["ProcessingJobName"])


def ended(site: Site, name: str) -> dict[str, Any]:
    """Wait for a job's end, however it ends; return its description."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = site.sagemaker.describe_processing_job(ProcessingJobName=name)
        if job["ProcessingJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return job
        time.sleep(0.05)
    raise AssertionError(f"{name} did not end: {site.lines(name, group=LOG_GROUP)}")


def run(site: Site, code: str, *given: Any, **members: Any) -> dict[str, Any]:
    """Run such a job to its end; return its description, which must say Completed."""
    name = start(site, code, *given, **members)
    job = ended(site, name)
    assert job["ProcessingJobStatus"] == "Completed", (job.get("FailureReason"), site.lines(name, group=LOG_GROUP))
    return job


def left(site: Site, name: str) -> dict[str, bytes]:
    """Return what a job left in its output `out`."""
    base = f"s3://{site.bucket}/out/{name}/"
    return {key: site.read(base + key) for key in site.keys(base)}
