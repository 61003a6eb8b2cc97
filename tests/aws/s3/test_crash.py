"""Many writers at once, clients that leave, kill -9, what is left on disk, reset, and a full disk."""

from __future__ import annotations

import errno
import http.client
import json
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backends.core.kernel import Kernel
from backends.core.objects.blobs import Blobs
from backends.core.settings import Settings
from tests.aws.s3.test_objects import pattern
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.core.context import Context

MIB = 1 << 20
PART = 5 * MIB
WAIT_S = 10.0


def blobs(server: LiveServer) -> set[str]:
    """Name every file the store holds."""
    root = server.data_dir / "objects"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def wait_for(condition: Any) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveServer]:
    """Yield a server that this test alone uses, and may kill."""
    live = LiveServer(tmp_path / "data")
    live.start()
    yield live
    live.stop()


@pytest.mark.parametrize("size", [2000, 300_000])
def test_of_32_writers_of_one_key_one_wins_whole(s3: Any, bucket: str, size: int) -> None:
    bodies = [bytes([number]) * size for number in range(32)]
    gate = threading.Barrier(32)

    def write(data: bytes) -> None:
        gate.wait()
        for _ in range(5):
            s3.put_object(Bucket=bucket, Key="k", Body=data)
            assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() in bodies

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(write, bodies))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() in bodies
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_of_32_writers_of_one_new_key_one_may(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    gate = threading.Barrier(32)

    def write(number: int) -> tuple[int, str, str]:
        gate.wait()
        try:
            made = s3.put_object(Bucket=bucket, Key="k", Body=b"%d" % number, IfNoneMatch="*")
        except s3.exceptions.ClientError as error:
            return number, "", error.response["Error"]["Code"]
        return number, made["VersionId"], ""

    with ThreadPoolExecutor(32) as threads:
        ended = list(threads.map(write, range(32)))
    won = [(number, version) for number, version, code in ended if not code]
    assert len(won) == 1
    assert {code for _, _, code in ended} == {"", "PreconditionFailed"}
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"%d" % won[0][0]
    assert [v["VersionId"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]] == [won[0][1]]


def test_a_client_that_leaves_leaves_nothing(own: LiveServer) -> None:
    s3 = own.client("s3", "111111111111")
    s3.create_bucket(Bucket="leaving")
    connection = http.client.HTTPConnection(urlsplit(own.url).netloc, timeout=20)
    connection.putrequest("PUT", "/leaving/k")
    connection.putheader("Authorization", "AWS 111111111111:signature")
    connection.putheader("Content-Length", str(10 * MIB))
    connection.endheaders()
    connection.send(pattern(3 * MIB))
    wait_for(lambda: any(name.startswith("temporary/") for name in blobs(own)))
    connection.close()
    wait_for(lambda: not blobs(own))
    assert "Contents" not in s3.list_objects_v2(Bucket="leaving")
    assert "Traceback" not in own.log.read_text()


def test_kill_in_the_middle_of_a_multipart_upload(own: LiveServer) -> None:
    s3 = own.client("s3", "111111111111")
    s3.create_bucket(Bucket="crash")
    s3.put_object(Bucket="crash", Key="small", Body=b"inline")
    s3.put_object(Bucket="crash", Key="large", Body=pattern(2 * MIB))
    data = pattern(2 * PART + 10)
    upload = {
        "Bucket": "crash",
        "Key": "k",
        "UploadId": s3.create_multipart_upload(Bucket="crash", Key="k")["UploadId"],
    }
    first = s3.upload_part(**upload, PartNumber=1, Body=data[:PART])["ETag"]
    acknowledged = blobs(own)
    connection = http.client.HTTPConnection(urlsplit(own.url).netloc, timeout=20)
    connection.putrequest("PUT", f"/crash/k?partNumber=2&uploadId={upload['UploadId']}")
    connection.putheader("Authorization", "AWS 111111111111:signature")
    connection.putheader("Content-Length", str(PART))
    connection.endheaders()
    connection.send(data[PART : PART + 3 * MIB])
    wait_for(lambda: any(name.startswith("temporary/") for name in blobs(own)))
    own.kill()
    connection.close()
    orphan = own.data_dir / "objects" / "blobs" / "00" / f"00{'f' * 30}"  # adopted, but its row never committed
    orphan.write_bytes(b"orphan")
    own.start()
    s3 = own.client("s3", "111111111111")
    assert s3.get_object(Bucket="crash", Key="small")["Body"].read() == b"inline"
    assert s3.get_object(Bucket="crash", Key="large")["Body"].read() == pattern(2 * MIB)
    assert [(p["PartNumber"], p["ETag"]) for p in s3.list_parts(**upload)["Parts"]] == [(1, first)]
    wait_for(lambda: blobs(own) == acknowledged)
    etags = [first] + [
        s3.upload_part(**upload, PartNumber=number, Body=data[(number - 1) * PART : number * PART])["ETag"]
        for number in (2, 3)
    ]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="crash", Key="k")["Body"].read() == data


def test_reset_of_one_account_forgets_only_its_buckets(own: LiveServer) -> None:
    own_s3, other = own.client("s3", "111111111111"), own.client("s3", "222222222222")
    for client, name in ((own_s3, "mine"), (other, "other")):
        client.create_bucket(Bucket=f"reset-{name}")
        client.put_object(Bucket=f"reset-{name}", Key="k", Body=pattern(MIB))
        upload = client.create_multipart_upload(Bucket=f"reset-{name}", Key="u")["UploadId"]
        client.upload_part(Bucket=f"reset-{name}", Key="u", UploadId=upload, PartNumber=1, Body=b"part")
    assert len(blobs(own)) == 4
    requested = json.dumps({"account": "111111111111"}).encode()
    json_type = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{own.url}/_localmaker/reset", requested, json_type, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200, json.load(answer)
    assert own_s3.list_buckets()["Buckets"] == []
    assert other.get_object(Bucket="reset-other", Key="k")["Body"].read() == pattern(MIB)
    assert len(other.list_multipart_uploads(Bucket="reset-other")["Uploads"]) == 1
    assert len(blobs(own)) == 2


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Yield a kernel without a server."""
    made = Kernel(Settings.read({}, data_dir=tmp_path / "data"), ())
    made.open()
    yield made
    made.db.close()
    made.lease.release()


def test_garbage_outlives_its_row_by_a_minute(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.aws.s3 import sweep
    from backends.core.objects.tables import buckets

    cx: Context = kernel.context("111111111111", "us-east-1")
    bucket = {"name": "garbage", "account": cx.account, "region": cx.region, "created": 0.0}
    cx.write(lambda inside: inside.db.execute(buckets.insert(), bucket))
    stored = kernel.objects.put_bytes(cx, "garbage", "k", pattern(MIB))
    cx.write(lambda inside: kernel.objects.delete(inside, "garbage", "k"))
    sweep.remove_garbage(kernel)
    assert kernel.objects.read_bytes(stored) == pattern(MIB)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + sweep.KEEP_S + 1)
    sweep.remove_garbage(kernel)
    with pytest.raises(FileNotFoundError):
        kernel.objects.open(stored)


def test_a_full_disk_leaves_nothing(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Blobs, "adopt", full)
    with pytest.raises(OSError, match="No space"):
        kernel.objects.store_bytes(pattern(MIB))
    assert [*(kernel.settings.data_dir / "objects" / "temporary").iterdir()] == []
