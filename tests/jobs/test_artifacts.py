"""What a job left, packed: what it wrote as it is, nothing of the machine, and no end without a limit."""

from __future__ import annotations

import os
import socket
import tarfile
from typing import TYPE_CHECKING

import pytest

from backends.core.errors import AwsError
from backends.core.objects.store import ObjectStore
from backends.jobs import artifacts

if TYPE_CHECKING:
    from pathlib import Path


def members(archive: Path) -> dict[str, tarfile.TarInfo]:
    """Return an archive's members by name."""
    with tarfile.open(archive) as packed:
        return {entry.name: entry for entry in packed.getmembers()}


def content(archive: Path, name: str) -> bytes:
    """Return what a member holds."""
    with tarfile.open(archive) as packed:
        file = packed.extractfile(name)
        assert file is not None
        return file.read()


def nothing() -> None:
    """Check nothing."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return what is mounted into a job, with a model folder."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    return tmp_path / "ml"


def test_files_folders_and_links_are_kept_and_nothing_else(root: Path, tmp_path: Path) -> None:
    model, secret = root / "model", tmp_path / "secret"
    secret.write_text("of the machine")
    (model / "folder" / "empty").mkdir(parents=True)
    (model / os.fsdecode(b"not-utf-8-\xff")).write_text("odd")
    (model / "file").write_text("x")
    (model / "zz-twice").hardlink_to(model / "file")
    (model / "link").symlink_to(secret)
    (model / "folder-link").symlink_to(tmp_path)
    os.mkfifo(model / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(model / "socket"))
        assert artifacts.pack([(model, root)], tmp_path / "a", nothing)
    packed = members(tmp_path / "a")
    assert sorted(packed) == sorted(
        ["file", "folder", "folder-link", "folder/empty", "link", os.fsdecode(b"not-utf-8-\xff"), "zz-twice"]
    )
    assert (packed["link"].linkname, packed["link"].size, packed["folder-link"].issym()) == (str(secret), 0, True)
    assert (packed["zz-twice"].islnk(), packed["zz-twice"].linkname) == (True, "file")
    assert {(entry.uid, entry.gid, entry.uname) for entry in packed.values()} == {(0, 0, "")}


@pytest.mark.parametrize("swapped", ["model", "model/deep"])
def test_a_folder_that_became_a_link_brings_nothing_of_the_machine(root: Path, tmp_path: Path, swapped: str) -> None:
    secrets = tmp_path / "of-the-machine"
    (secrets / "deep").mkdir(parents=True)
    (secrets / "secret").write_text("secret")
    (secrets / "failure").write_text("secret")
    if swapped == "model":
        (root / "model").rmdir()
    (root / swapped).symlink_to(secrets)
    artifacts.pack([(root / swapped, root)], tmp_path / "a", nothing)
    assert members(tmp_path / "a") == {}
    assert artifacts.read_text(root / swapped / "failure", root, 100) == ""


def test_what_its_owner_may_not_read_is_packed_too(root: Path, tmp_path: Path) -> None:
    closed = root / "model" / "closed"
    closed.mkdir()
    (closed / "file").write_text("x")
    (closed / "file").chmod(0)
    closed.chmod(0)
    assert artifacts.pack([(root / "model", root)], tmp_path / "a", nothing)
    assert content(tmp_path / "a", "closed/file") == b"x"
    assert members(tmp_path / "a")["closed"].mode == 0


@pytest.mark.parametrize("becomes", [0, 5 << 20])
def test_a_file_that_changes_while_it_is_packed_has_the_size_it_had(root: Path, tmp_path: Path, becomes: int) -> None:
    file, calls = root / "model" / "file", iter(range(1 << 20))
    file.write_bytes(b"x" * (1 << 20))
    (root / "model" / "later").write_text("whole")

    def change() -> None:
        if next(calls) == 3:
            os.truncate(file, becomes)

    artifacts.pack([(root / "model", root)], tmp_path / "a", change)
    assert len(content(tmp_path / "a", "file")) == 1 << 20
    assert content(tmp_path / "a", "later") == b"whole"


def test_holes_count_against_the_volume(root: Path, tmp_path: Path) -> None:
    with (root / "model" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AwsError, match="larger than its volume of 1 GB"):
        artifacts.pack([(root / "model", root)], tmp_path / "a", nothing, 1 << 30)


def test_holes_stay_holes_in_the_store(tmp_path: Path) -> None:
    store, path = ObjectStore(tmp_path / "store", durable=False), tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"begin")
        file.seek(32 << 20)
        file.write(b"end")
        file.truncate(64 << 20)
    with path.open("rb") as file:
        stored = store.store_open_file(file)
    assert stored.blob is not None
    blob = store.blobs.path(stored.blob)
    assert (stored.size, blob.stat().st_size) == (64 << 20, 64 << 20)
    assert blob.stat().st_blocks * 512 < 1 << 20
    assert blob.read_bytes() == path.read_bytes()


def test_a_file_without_a_name_is_stored(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "store", durable=False)
    for size in (10, 100_000):
        path = tmp_path / str(size)
        path.write_bytes(b"x" * size)
        with path.open("rb") as file:
            path.unlink()
            stored = store.store_open_file(file)
        assert stored.size == size


def test_a_key_is_text_and_not_too_long() -> None:
    assert artifacts.key_of("a/" + os.fsdecode(b"\xff")) == "a/\ufffd"
    with pytest.raises(AwsError, match="KeyTooLongError"):
        artifacts.key_of("ü" * 513)


def test_folders_in_each_other_are_packed_as_far_as_a_path_can_name_them(root: Path, tmp_path: Path) -> None:
    at = os.open(root / "model", os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=at)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    artifacts.pack([(root / "model", root)], tmp_path / "a", nothing)
    assert len(members(tmp_path / "a")) == 20
