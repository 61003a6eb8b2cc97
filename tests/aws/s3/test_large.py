"""One object of 5 GiB through multipart put and get: in constant memory, whatever its size."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)
MIB = 1 << 20
GIB = float(os.environ.get("LOCALMAKER_TEST_S3_GIB", "0"))
PART = 64 * MIB
GROWTH_BYTES = 192 * MIB
"""Some threads hold a block of 1 MiB each, whatever the part and the object are."""


class Memory:
    """Watches how much memory a process holds, from another thread."""

    def __init__(self, pid: int) -> None:
        self._process, self._ended = psutil.Process(pid), threading.Event()
        self.before = self.most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveServer]:
    """Yield a server that this test alone uses."""
    live = LiveServer(tmp_path / "data")
    live.start()
    yield live
    live.stop()


def part(number: int) -> bytes:
    """Make a part's bytes: no two parts are alike, and none is kept."""
    return number.to_bytes(4, "big") * (PART // 4)


@pytest.mark.slow
@pytest.mark.skipif(GIB == 0, reason="LOCALMAKER_TEST_S3_GIB says how large the object is; the full run takes 5")
def test_a_large_object_takes_constant_memory(own: LiveServer) -> None:
    s3 = own.client(
        "s3", "111111111111", request_checksum_calculation="when_required", s3={"payload_signing_enabled": False}
    )
    s3.create_bucket(Bucket="large")
    upload = {
        "Bucket": "large",
        "Key": "k",
        "UploadId": s3.create_multipart_upload(Bucket="large", Key="k")["UploadId"],
    }
    count = round(GIB * 1024 * MIB) // PART

    def send(number: int) -> dict[str, Any]:
        etag = s3.upload_part(**upload, PartNumber=number, Body=part(number))["ETag"]
        return {"PartNumber": number, "ETag": etag}

    assert own.process is not None
    with Memory(own.process.pid) as memory:
        began = time.monotonic()
        with ThreadPoolExecutor(2) as threads:
            parts = list(threads.map(send, range(1, count + 1)))
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        stored = time.monotonic()
        got = s3.get_object(Bucket="large", Key="k")
        assert got["ContentLength"] == count * PART
        for number in range(1, count + 1):
            assert got["Body"].read(PART) == part(number), f"part {number} came back changed"
        read = time.monotonic()
    grown = memory.most - memory.before
    speeds = [count * PART / MIB / span_s for span_s in (stored - began, read - stored)]
    log.info("put %d MiB/s, get %d MiB/s; the server grew by %d MiB", *speeds, grown / MIB)
    assert grown < GROWTH_BYTES
