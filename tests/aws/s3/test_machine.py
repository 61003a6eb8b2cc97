"""Random S3 operations, and crashes in between, against a plain model: a dict from key to its versions."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.aws.s3.test_listings import expected, items
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = st.sampled_from(["a", "a/b", "a/b/c", "a/", "ü k", "b//x", "z/..", "a0"])
SIZES = st.sampled_from([0, 5, 16 * 1024, 16 * 1024 + 1, 200_000])
SEEDS = st.integers(0, 255)
PART = 5 << 20
OPERATIONS = int(os.environ.get("LOCALMAKER_TEST_S3_OPERATIONS", "1000"))
STEPS, BETWEEN_CRASHES = 100, 60


def body(seed: int, size: int) -> bytes:
    return bytes([seed, 255 - seed, 7]) * (size // 3) + b"x" * (size % 3)


@dataclass
class Version:
    """One version of a key: an object, or (`data` is None) a delete marker."""

    id: str
    data: bytes | None
    metadata: dict[str, str] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """`versions`: key to its versions, the newest first. `parts`: upload id to (key, part number to bytes)."""

    server: LiveServer
    done = crashes = steps = 0
    uploads = Bundle("uploads")

    @initialize()
    def begin(self) -> None:
        """Make a bucket."""
        self.connect()
        self.bucket = f"m-{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=self.bucket)
        self.versioning = ""
        self.versions: dict[str, list[Version]] = {}
        self.parts: dict[str, tuple[str, dict[int, bytes]]] = {}

    def connect(self) -> None:
        """Speak to the server, which has another port after a crash."""
        self.client = self.server.client("s3", "111111111111")

    def current(self, key: str) -> Version | None:
        """Return what a key names now."""
        versions = self.versions.get(key)
        return versions[0] if versions and versions[0].data is not None else None

    def arrive(self, key: str, answer: dict[str, Any], data: bytes | None, metadata: dict[str, str]) -> None:
        """Take an acknowledged write into the model."""
        Machine.done += 1
        named = answer.get("VersionId")
        assert (named is not None) == bool(self.versioning)
        assert (named == "null") == (self.versioning == "Suspended")
        kept = [each for each in self.versions.get(key, []) if each.id != (named or "null")]
        self.versions[key] = [Version(named or "null", data, metadata), *kept]

    @rule(status=st.sampled_from(["Enabled", "Enabled", "Suspended"]))
    def switch(self, status: str) -> None:
        """Turn versioning on, or suspend it."""
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})
        self.versioning = status
        assert self.client.get_bucket_versioning(Bucket=self.bucket)["Status"] == status

    def crash(self) -> None:
        """Kill the server and start it again."""
        Machine.crashes += 1
        self.server.kill()
        self.server.start()
        self.connect()

    @rule(key=KEYS, seed=SEEDS, size=SIZES, only_new=st.booleans())
    def put(self, key: str, seed: int, size: int, only_new: bool) -> None:
        """Put an object, sometimes only where there is none."""
        metadata = {"seed": str(seed)}
        given = {"Bucket": self.bucket, "Key": key, "Body": body(seed, size), "Metadata": metadata}
        if only_new and self.current(key) is not None:
            with pytest.raises(ClientError, match="PreconditionFailed"):
                self.client.put_object(**given, IfNoneMatch="*")
            return
        answer = self.client.put_object(**given, **({"IfNoneMatch": "*"} if only_new else {}))
        if self.versioning == "Suspended":  # S3 names the version of a copy, and of no put
            assert "VersionId" not in answer
            answer["VersionId"] = "null"
        self.arrive(key, answer, body(seed, size), metadata)

    @rule(key=KEYS, first=st.integers(0, 20_000), size=st.integers(1, 20_000))
    def get(self, key: str, first: int, size: int) -> None:
        """Get an object, whole and a range."""
        Machine.done += 1
        version = self.current(key)
        if version is None or version.data is None:
            with pytest.raises(ClientError, match="NoSuchKey"):
                self.client.get_object(Bucket=self.bucket, Key=key)
            return
        got = self.client.get_object(Bucket=self.bucket, Key=key)
        assert (got["Body"].read(), got["Metadata"]) == (version.data, version.metadata)
        assert got.get("VersionId", "null") == version.id
        if first < len(version.data):
            span = self.client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={first}-{first + size - 1}")
            assert span["Body"].read() == version.data[first : first + size]

    @rule(key=KEYS, place=st.integers(0, 3), remove=st.booleans())
    def touch_version(self, key: str, place: int, remove: bool) -> None:
        """Get one version of a key, or remove it for good."""
        versions = self.versions.get(key, [])
        if place >= len(versions):
            return
        Machine.done += 1
        version = versions[place]
        named = {"Bucket": self.bucket, "Key": key, "VersionId": version.id}
        if remove:
            answer = self.client.delete_object(**named)
            if self.versioning:
                assert (answer["VersionId"], "DeleteMarker" in answer) == (version.id, version.data is None)
            self.versions[key] = [each for each in versions if each is not version]
        elif version.data is None:
            with pytest.raises(ClientError, match="MethodNotAllowed"):
                self.client.get_object(**named)
        else:
            assert self.client.get_object(**named)["Body"].read() == version.data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete an object."""
        self.deleted(key, self.client.delete_object(Bucket=self.bucket, Key=key))

    def deleted(self, key: str, answer: dict[str, Any]) -> None:
        """Take an acknowledged deletion into the model."""
        if self.versioning:
            assert answer["DeleteMarker"] is True
            self.arrive(key, answer, None, {})
        else:
            Machine.done += 1
            self.versions.pop(key, None)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4, unique=True))
    def delete_many(self, keys: list[str]) -> None:
        """Delete several."""
        requested = {"Objects": [{"Key": key} for key in keys]}
        for entry in self.client.delete_objects(Bucket=self.bucket, Delete=requested)["Deleted"]:
            named = {"VersionId": entry["DeleteMarkerVersionId"]} if "DeleteMarker" in entry else {}
            self.deleted(entry["Key"], {**entry, **named})

    @rule(source=KEYS, into=KEYS)
    def copy(self, source: str, into: str) -> None:
        """Copy an object."""
        given = {"Bucket": self.bucket, "Key": into, "CopySource": {"Bucket": self.bucket, "Key": source}}
        version = self.current(source)
        if version is None or source == into:
            with pytest.raises(ClientError):
                self.client.copy_object(**given)
            return
        self.arrive(into, self.client.copy_object(**given), version.data, version.metadata)

    @rule(target=uploads, key=KEYS)
    def create_upload(self, key: str) -> str:
        """Begin an upload."""
        Machine.done += 1
        upload: str = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        self.parts[upload] = key, {}
        return upload

    @rule(upload=uploads, number=st.integers(1, 3), seed=SEEDS, size=SIZES)
    def upload_part(self, upload: str, number: int, seed: int, size: int) -> None:
        """Send a part; the same number replaces."""
        if upload in self.parts:
            Machine.done += 1
            key, parts = self.parts[upload]
            given = {"Bucket": self.bucket, "Key": key, "UploadId": upload, "PartNumber": number}
            self.client.upload_part(**given, Body=body(seed, size))
            parts[number] = body(seed, size)

    @rule(upload=uploads, abort=st.booleans())
    def end_upload(self, upload: str, abort: bool) -> None:
        """Complete an upload, or abort it."""
        if upload not in self.parts:
            return
        key, parts = self.parts[upload]
        named = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
        if abort:
            Machine.done += 1
            self.client.abort_multipart_upload(**named)
            del self.parts[upload]
            return
        listed = [{"PartNumber": n, "ETag": f'"{hashlib.md5(parts[n]).hexdigest()}"'} for n in sorted(parts)]
        given = {**named, "MultipartUpload": {"Parts": listed}}
        small = any(len(parts[n]) < PART for n in sorted(parts)[:-1])
        if not parts or small:
            with pytest.raises(ClientError):
                self.client.complete_multipart_upload(**given)
            return
        made = self.client.complete_multipart_upload(**given)
        self.arrive(key, made, b"".join(parts[n] for n in sorted(parts)), {})
        del self.parts[upload]

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "z/"]), delimiter=st.sampled_from(["", "/"]), size=st.integers(1, 3)
    )
    def list(self, prefix: str, delimiter: str, size: int) -> None:
        """List in pages."""
        Machine.done += 1
        given = {"Bucket": self.bucket, "Prefix": prefix, **({"Delimiter": delimiter} if delimiter else {})}
        pages = self.client.get_paginator("list_objects_v2").paginate(**given, PaginationConfig={"PageSize": size})
        there = [key for key in self.versions if self.current(key) is not None]
        assert [i for page in pages for i in items(page)] == expected(there, prefix, delimiter, "")

    @rule(size=st.integers(1, 5))
    def list_versions(self, size: int) -> None:
        """List versions and delete markers in pages."""
        Machine.done += 1
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, PaginationConfig={"PageSize": size}
        )
        listed: dict[str, set[tuple[str, bool, int]]] = {}
        for page in pages:
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                told = entry["VersionId"], entry["IsLatest"], entry.get("Size", -1)
                listed.setdefault(entry["Key"], set()).add(told)
        assert listed == {
            key: {(v.id, v is versions[0], -1 if v.data is None else len(v.data)) for v in versions}
            for key, versions in self.versions.items()
            if versions
        }

    @invariant()
    def the_whole_listing_agrees(self) -> None:
        """Compare keys and sizes."""
        self.steps += 1
        if self.steps % BETWEEN_CRASHES == 0:
            self.crash()
        contents = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        there = {key: version for key in self.versions if (version := self.current(key)) is not None}
        assert {o["Key"]: o["Size"] for o in contents} == {key: len(v.data or b"") for key, v in there.items()}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveServer]:
    """Yield a server that this test alone uses, and kills."""
    live = LiveServer(tmp_path / "data")
    live.start()
    yield live
    live.stop()


def test_random_operations_and_crashes_agree_with_a_dict(own: LiveServer) -> None:
    """LOCALMAKER_TEST_S3_OPERATIONS: how many, some of which find nothing to do."""
    Machine.server, Machine.done, Machine.crashes = own, 0, 0
    while Machine.done < OPERATIONS:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(1, (OPERATIONS - Machine.done) // STEPS),
                stateful_step_count=STEPS,
                deadline=None,
                phases=[Phase.generate],  # what fails after a crash is not made smaller by a thousand more
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
    assert Machine.crashes * STEPS >= OPERATIONS // 2
    assert "Traceback" not in own.log.read_text()
