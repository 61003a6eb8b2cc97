"""How data reaches a job: every source and input mode, on every runner (contract: training.md §5)."""

from __future__ import annotations

import gzip
import json
import struct
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backends.jobs import opt_ml
from backends.jobs.channels import DataError, channel_of
from backends.jobs.spec import HostSpec
from tests.site import channel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site import Site

WALK = """
import json, os, pathlib
root = pathlib.Path("/opt/ml/input/data")
files = {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file() and "code/" not in str(p)}
host = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())["current_host"]
pathlib.Path(f"/opt/ml/model/{host}.json").write_text(json.dumps(files))
"""
PIPE = """
import os, pathlib, time
def epoch(channel, number):
    path = f"/opt/ml/input/data/{channel}_{number}"
    deadline = time.monotonic() + 20
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    with open(path, "rb") as fifo:
        return fifo.read()
for number in range(2):
    pathlib.Path(f"/opt/ml/model/{number}").write_bytes(epoch("train", number))
"""
MAGIC = 0xCED7230A


def framed(payload: bytes) -> bytes:
    """Return one RecordIO record."""
    return struct.pack("<II", MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def seen(site: Site, job: dict[str, Any], host: str = "algo-1") -> dict[str, str]:
    """Return the files that a host of WALK found, without the channel `code`."""
    listing: dict[str, str] = json.loads(site.artifact(job)[f"{host}.json"])
    return listing


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_prefix_keeps_its_folders(site: Site, mode: str) -> None:
    data = site.upload({"a.csv": "A", "deep/er/b.csv": "B", "folder/": "", "ünï code+%.txt": "C"})
    job = site.run(WALK, [channel("train", data, InputMode=mode), channel("one", f"{data}deep/er/b.csv")])
    expected = {"train/a.csv": "A", "train/deep/er/b.csv": "B", "train/ünï code+%.txt": "C", "one/b.csv": "B"}
    assert seen(site, job) == expected


def test_fast_file_is_read_only_and_file_mode_changes_no_object(site: Site) -> None:
    data = site.upload({"a.csv": "original"})
    code = """
open("/opt/ml/input/data/file/a.csv", "w").write("changed")
try:
    open("/opt/ml/input/data/fast/a.csv", "w").write("changed")
    print("written")
except OSError as error:
    print("refused")
"""
    job = site.run(code, [channel("file", data), channel("fast", data, InputMode="FastFile")])
    assert "refused" in site.lines(job["TrainingJobName"])
    assert site.read(f"{data}a.csv") == b"original"


@pytest.mark.same_on_docker
def test_a_manifest_names_the_objects(site: Site) -> None:
    data = site.upload({"x/1.csv": "1", "x/2.csv": "2", "x/3.csv": "3"})
    manifest = site.upload({"m.json": json.dumps([{"prefix": data}, "x/3.csv", "x/1.csv"])})
    job = site.run(WALK, [channel("train", f"{manifest}m.json", S3DataType="ManifestFile")])
    assert seen(site, job) == {"train/x/1.csv": "1", "train/x/3.csv": "3"}


def test_a_manifest_that_names_nothing_fails_the_job(local: Site) -> None:
    manifest = local.upload({"m.json": json.dumps([{"prefix": f"s3://{local.bucket}/nothing/"}, "here"])})
    job = local.ended(local.start(WALK, [channel("train", f"{manifest}m.json", S3DataType="ManifestFile")]))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed:"), job["FailureReason"]
    assert "nothing/here" in job["FailureReason"]
    broken = local.upload({"m.json": "{}"})
    job = local.ended(local.start(WALK, [channel("train", f"{broken}m.json", S3DataType="ManifestFile")]))
    assert "is not a manifest" in job["FailureReason"]


@pytest.mark.same_on_docker
def test_sharding_gives_each_host_its_part_and_all_together_everything(site: Site) -> None:
    data = site.upload({f"part-{n}.csv": str(n) for n in range(5)})
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    sharded = channel("train", data, S3DataDistributionType="ShardedByS3Key")
    job = site.run(WALK, [sharded, channel("all", data)], ResourceConfig=resources)
    parts = [{k for k in seen(site, job, host) if k.startswith("train/")} for host in ("algo-1", "algo-2")]
    assert parts[0] | parts[1] == {f"train/part-{n}.csv" for n in range(5)}
    assert not parts[0] & parts[1]
    assert {len(part) for part in parts} == {2, 3}
    assert all(len([k for k in seen(site, job, host) if k.startswith("all/")]) == 5 for host in ("algo-1", "algo-2"))


def test_file_systems_are_local_directories(site: Site) -> None:
    system = f"fs-{uuid.uuid4().hex[:12]}"
    folder = site.live.data_dir / "filesystems" / system / "team" / "data"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "f.txt").write_text("from the file system")
    code = (
        WALK
        + """
for name, expected in (("ro", False), ("rw", True)):
    try:
        pathlib.Path(f"/opt/ml/input/data/{name}/new-{name}").write_text("x")
        done = True
    except OSError:
        done = False
    assert done is expected, name
"""
    )
    channels = [
        {
            "ChannelName": access,
            "DataSource": {
                "FileSystemDataSource": {
                    "FileSystemId": system,
                    "FileSystemType": "EFS",
                    "FileSystemAccessMode": access,
                    "DirectoryPath": "/team/data",
                }
            },
        }
        for access in ("ro", "rw")
    ]
    job = site.run(code, channels)
    assert seen(site, job) == {"ro/f.txt": "from the file system", "rw/f.txt": "from the file system"}
    assert [path.name for path in sorted(folder.iterdir())] == ["f.txt", "new-rw"]


@pytest.mark.parametrize("path", ["/../../objects", "/missing", f"/{'n' * 300}"])
def test_a_file_system_shows_nothing_but_itself(local: Site, path: str) -> None:
    source = {
        "FileSystemId": "fs-0123456789ab",
        "FileSystemType": "EFS",
        "FileSystemAccessMode": "ro",
        "DirectoryPath": path,
    }
    entry = {"ChannelName": "fs", "DataSource": {"FileSystemDataSource": source}}
    job = local.ended(local.start(WALK, [entry]))
    assert job["FailureReason"].startswith("ClientError: Data download failed:"), job["FailureReason"]


def test_a_link_in_the_place_of_a_file_systems_directory_is_not_mounted(tmp_path: Path) -> None:
    mounted = tmp_path / "elsewhere" / "efs"
    (mounted / "team" / "data").mkdir(parents=True)
    (tmp_path / "filesystems").mkdir()
    (tmp_path / "filesystems" / "fs-1").symlink_to(mounted)  # as whoever runs the server may have made it
    cx: Any = SimpleNamespace(settings=SimpleNamespace(data_dir=tmp_path))
    source = {"FileSystemId": "fs-1", "DirectoryPath": "/team/data", "FileSystemAccessMode": "ro"}
    used = channel_of({"ChannelName": "fs", "DataSource": {"FileSystemDataSource": source}}, "File")
    (tmp_path / "data").mkdir()
    host = HostSpec("algo-1", tmp_path, (opt_ml._file_system(cx, used, tmp_path / "data"),))
    opt_ml.check_file_systems(cx, (used,), (host,))
    (mounted / "team").rename(mounted / "moved")
    (tmp_path / "other" / "data").mkdir(parents=True)
    (mounted / "team").symlink_to(tmp_path / "other")
    with pytest.raises(DataError, match="was replaced"):
        opt_ml.check_file_systems(cx, (used,), (host,))


@pytest.mark.parametrize("mode", ["File", "FastFile"])
@pytest.mark.parametrize("key", ["n" * 300, "a\0b"])
def test_a_key_that_is_no_file_name_fails_the_job_as_the_clients_fault(local: Site, key: str, mode: str) -> None:
    data = local.upload({"first": "x", key: "x"})
    job = local.ended(local.start(WALK, [channel("train", data, InputMode=mode)]))
    assert job["FailureReason"].startswith("ClientError: Data download failed:the key "), job["FailureReason"]
    assert str(local.live.data_dir) not in job["FailureReason"]


def test_a_pipe_and_a_file_of_one_name_fail_the_job_as_the_clients_fault(local: Site) -> None:
    data = local.upload({"a": "1"})
    entries = [channel("train", data, InputMode="Pipe"), channel("train_0", data)]
    job = local.ended(local.start("print('never')", entries))
    assert job["FailureReason"].startswith("ClientError: Data download failed:"), job
    assert "train_0" in job["FailureReason"]


def test_pipe_mode_gives_a_key_that_is_no_file_name(local: Site) -> None:
    data = local.upload({"n" * 300: "content"})
    job = local.run(PIPE, [channel("train", data, InputMode="Pipe")])
    assert local.artifact(job)["0"] == b"content"


@pytest.mark.parametrize(
    "manifest", [b"[]", b"{}", b"[1]", b'[{"prefix": "{uri}"}, 1]', b'[{"prefix": "{uri}"}, null]']
)
def test_what_is_no_manifest_fails_the_job_as_the_clients_fault(local: Site, manifest: bytes) -> None:
    uri = local.upload({"1": "x", "None": "x"})
    data = local.upload({"manifest": manifest.replace(b"{uri}", uri.encode())})
    job = local.ended(local.start(WALK, [channel("train", f"{data}manifest", S3DataType="ManifestFile")]))
    assert job["FailureReason"].startswith("ClientError: Data download failed:"), job["FailureReason"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileExistsError(17, "File exists", "/of/the/machine"), "'k' is a file and a folder at once"),
        (FileNotFoundError(2, "No such file", "/of/the/machine"), "'k' was deleted while it was downloaded"),
        (OSError(28, "No space left on device", "/of/the/machine"), "'k': No space left on device"),
        (PermissionError(13, "Permission denied", "/of/the/machine"), "'k': Permission denied"),
        (PermissionError("s3://b/k is encrypted with a customer's key (SSE-C)"), "s3://b/k is encrypted"),
    ],
)
def test_what_goes_wrong_with_a_download_names_no_path_of_the_machine(
    tmp_path: Path, error: OSError, said: str
) -> None:
    def copy_to(*_: object, **__: object) -> None:
        raise error

    cx: Any = SimpleNamespace(objects=SimpleNamespace(copy_to=copy_to))
    stored: Any = SimpleNamespace(key="k")
    with pytest.raises(DataError) as caught:
        opt_ml.bring(cx, stored, tmp_path / "k", above=tmp_path.parent)
    assert str(caught.value).startswith(said)
    assert "/of/the/machine" not in str(caught.value)


def test_pipe_mode_gives_every_epoch_a_fifo(site: Site) -> None:
    large = bytes(range(256)) * 4096  # 1 MiB: more than a FIFO holds
    data = site.upload({"1": large, "2": b"second"})
    job = site.run(PIPE, [channel("train", data, InputMode="Pipe")])
    assert site.artifact(job) == {"0": large + b"second", "1": large + b"second"}


@pytest.mark.same_on_docker
def test_pipe_mode_unpacks_gzip_and_wraps_records(site: Site) -> None:
    data = site.upload({"1.gz": gzip.compress(b"first"), "2.gz": gzip.compress(b"second!!")})
    entry = channel("train", data, InputMode="Pipe", CompressionType="Gzip", RecordWrapperType="RecordIO")
    job = site.run(PIPE, [entry])
    expected = framed(b"first") + framed(b"second!!")
    assert site.artifact(job) == {"0": expected, "1": expected}


@pytest.mark.same_on_docker
def test_an_augmented_manifest_streams_its_attributes(site: Site) -> None:
    images = site.upload({"a.png": b"\x89PNG-a", "b.png": b"\x89PNG-bb"})
    rows = [{"image-ref": f"{images}{name}.png", "label": label, "skip": 1} for name, label in (("a", 0), ("b", 1))]
    manifest = site.upload({"m.jsonl": "\n".join(json.dumps(row) for row in rows)})
    entry = channel(
        "train",
        f"{manifest}m.jsonl",
        S3DataType="AugmentedManifestFile",
        AttributeNames=["image-ref", "label"],
        InputMode="Pipe",
        RecordWrapperType="RecordIO",
    )
    job = site.run(PIPE, [entry])
    expected = framed(b"\x89PNG-a") + framed(b"0") + framed(b"\x89PNG-bb") + framed(b"1")
    assert site.artifact(job) == {"0": expected, "1": expected}


def test_a_shuffled_pipe_has_another_order_in_each_epoch(local: Site) -> None:
    data = local.upload({f"{n:02}": f"{n:02} " for n in range(20)})
    entry = channel("train", data, InputMode="Pipe", ShuffleConfig={"Seed": 7})
    first, second = (local.artifact(local.run(PIPE, [entry])) for _ in range(2))
    assert first == second  # the seed decides
    orders = [first["0"].split(), first["1"].split()]
    assert sorted(orders[0]) == sorted(orders[1]) == [f"{n:02}".encode() for n in range(20)]
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.same_on_docker
def test_an_epoch_that_is_closed_early_ends(site: Site) -> None:
    code = """
import os, pathlib, time
with open("/opt/ml/input/data/train_0", "rb") as fifo:
    first = fifo.read(10)
while not os.path.exists("/opt/ml/input/data/train_1"):
    time.sleep(0.01)
with open("/opt/ml/input/data/train_1", "rb") as fifo:
    pathlib.Path("/opt/ml/model/second").write_bytes(fifo.read())
"""
    data = site.upload({"1": b"0123456789" * 100_000})
    job = site.run(code, [channel("train", data, InputMode="Pipe")])
    assert site.artifact(job)["second"] == b"0123456789" * 100_000
