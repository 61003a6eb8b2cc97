"""A large object through a job: joined, filtered and written in constant memory, whatever its size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.aws.s3.test_large import Memory
from tests.conftest import LiveServer
from tests.endpoints.served import Served
from tests.site import Site
from tests.transform.test_jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
GIB = float(os.environ.get("LOCALMAKER_TEST_TRANSFORM_GIB", "0.1"))
LINE = b"7," + b"x" * 125 + b"\n"
PART = 32 * MIB
GROWTH_BYTES = 64 * MIB
ONE_EACH = """
def model_fn(directory):
    return None
def transform_fn(model, body, content_type, accept):
    body = body.encode() if isinstance(body, str) else body
    return b"1\\n" * body.count(b"\\n"), accept
"""


@pytest.fixture
def own(tmp_path: Path, account: str) -> Iterator[Site]:
    live = LiveServer(tmp_path / "data")
    live.start()
    site = Site(live, account, "process")
    yield site
    site.close()
    live.end_jobs()
    live.stop()


def test_a_large_object_is_joined_in_constant_memory(own: Site) -> None:
    """100 MB here, 2 GiB in the long run (LOCALMAKER_TEST_TRANSFORM_GIB)."""
    served, count = Served(own), max(3, round(GIB * 1024 * MIB) // PART)
    model = served.model(served.container("ones", ONE_EACH))
    processing = {"JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    assert Job(
        own, {"small": LINE}, ModelName=model, DataProcessing=processing
    ).ended()  # what is imported once, is now
    upload = {"Bucket": own.bucket, "Key": "large/in.csv"}
    upload["UploadId"] = own.s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": own.s3.upload_part(**upload, PartNumber=n, Body=LINE * (PART // len(LINE)))["ETag"]}
        for n in range(1, count + 1)
    ]
    own.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{own.bucket}/large/"}}
    assert own.live.process is not None
    with Memory(own.live.process.pid) as memory:
        job = Job(
            own,
            {},
            ModelName=model,
            TransformInput={"DataSource": source},
            DataProcessing=processing,
            MaxConcurrentTransforms=2,
        )
        assert job.ended()["TransformJobStatus"] == "Completed"
    growth = memory.most - memory.before
    [(key, size)] = [
        (each["Key"], each["Size"])
        for each in own.s3.list_objects_v2(Bucket=own.bucket, Prefix=f"{job.name}/out/")["Contents"]
    ]
    assert (key.rpartition("/")[2], size) == ("in.csv.out", count * (PART // len(LINE)) * len(b"7,1\n"))
    assert growth <= GROWTH_BYTES, f"{growth / MIB:.0f} MiB"
