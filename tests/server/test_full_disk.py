"""A full disk is a named error, and nothing half written: on a real file system of 24 MiB."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT = "123456789012"
SENTENCE = "The disk that holds LocalMaker's data directory is full; nothing of this request was stored."


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def refused(call: Callable[[], Any]) -> dict[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error: dict[str, str] = caught.value.response["Error"]
    return error


def put_until_full(s3: Any) -> int:
    """Put small objects until one is refused; give how many were acknowledged."""
    for number in range(5000):
        try:
            s3.put_object(Bucket="full-disk", Key=f"small-{number}", Body=b"y" * 15_000)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "ResourceLimitExceeded":
                return number
            raise
    raise AssertionError("the disk did not fill up")


def test_a_full_disk_is_named_and_keeps_what_was_acknowledged(small_disk: Path) -> None:
    live = LiveServer(small_disk / "data")
    live.start()
    try:
        s3, sagemaker = live.client("s3", ACCOUNT), live.client("sagemaker", ACCOUNT)
        s3.create_bucket(Bucket="full-disk")
        large = refused(lambda: s3.put_object(Bucket="full-disk", Key="large", Body=b"x" * 30_000_000))
        assert (large["Code"], large["Message"]) == ("ResourceLimitExceeded", SENTENCE)
        assert "Contents" not in s3.list_objects_v2(Bucket="full-disk")
        assert not list((small_disk / "data" / "objects" / "temporary").iterdir())
        kept = put_until_full(s3)
        container = {"Image": "i", "Environment": {"A": "b" * 1000}}
        model = {"ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "PrimaryContainer": container}
        error = refused(lambda: [sagemaker.create_model(ModelName=f"m-{n}", **model) for n in range(50)])
        assert error["Code"] == "ResourceLimitExceeded"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="full-disk")
        assert sum(len(page.get("Contents", ())) for page in pages) == kept
        assert s3.get_object(Bucket="full-disk", Key=f"small-{kept - 1}")["Body"].read() == b"y" * 15_000
    finally:
        live.stop()
