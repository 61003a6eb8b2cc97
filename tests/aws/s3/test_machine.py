"""Random S3 operations against a plain model: a dict from key to bytes, metadata and ETag."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.aws.s3.test_listings import expected, items

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from(["a", "a/b", "a/b/c", "a/", "ü k", "b//x", "z/..", "a0"])
SIZES = st.sampled_from([0, 5, 16 * 1024, 16 * 1024 + 1, 200_000])
SEEDS = st.integers(0, 255)
PART = 5 << 20


def body(seed: int, size: int) -> bytes:
    return bytes([seed, 255 - seed, 7]) * (size // 3) + b"x" * (size % 3)


class Machine(RuleBasedStateMachine):
    """`objects`: key to (bytes, metadata). `parts`: upload id to (key, part number to bytes)."""

    client: Any = None
    uploads = Bundle("uploads")

    @initialize()
    def begin(self) -> None:
        """Make a bucket."""
        self.bucket = f"m-{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=self.bucket)
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.parts: dict[str, tuple[str, dict[int, bytes]]] = {}

    @rule(key=KEYS, seed=SEEDS, size=SIZES)
    def put(self, key: str, seed: int, size: int) -> None:
        """Put an object."""
        metadata = {"seed": str(seed)}
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body(seed, size), Metadata=metadata)
        self.objects[key] = body(seed, size), metadata

    @rule(key=KEYS, first=st.integers(0, 20_000), size=st.integers(1, 20_000))
    def get(self, key: str, first: int, size: int) -> None:
        """Get an object, whole and a range."""
        if key not in self.objects:
            with pytest.raises(ClientError, match="NoSuchKey"):
                self.client.get_object(Bucket=self.bucket, Key=key)
            return
        got = self.client.get_object(Bucket=self.bucket, Key=key)
        data, metadata = self.objects[key]
        assert (got["Body"].read(), got["Metadata"]) == (data, metadata)
        if first < len(data):
            span = self.client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={first}-{first + size - 1}")
            assert span["Body"].read() == data[first : first + size]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.bucket, Key=key)
        self.objects.pop(key, None)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=4, unique=True))
    def delete_many(self, keys: list[str]) -> None:
        """Delete several."""
        self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        for key in keys:
            self.objects.pop(key, None)

    @rule(source=KEYS, into=KEYS)
    def copy(self, source: str, into: str) -> None:
        """Copy an object."""
        given = {"Bucket": self.bucket, "Key": into, "CopySource": {"Bucket": self.bucket, "Key": source}}
        if source not in self.objects or source == into:
            with pytest.raises(ClientError):
                self.client.copy_object(**given)
            return
        self.client.copy_object(**given)
        self.objects[into] = self.objects[source]

    @rule(target=uploads, key=KEYS)
    def create_upload(self, key: str) -> str:
        """Begin an upload."""
        upload: str = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        self.parts[upload] = key, {}
        return upload

    @rule(upload=uploads, number=st.integers(1, 3), seed=SEEDS, size=SIZES)
    def upload_part(self, upload: str, number: int, seed: int, size: int) -> None:
        """Send a part; the same number replaces."""
        if upload in self.parts:
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
        self.client.complete_multipart_upload(**given)
        self.objects[key] = b"".join(parts[n] for n in sorted(parts)), {}
        del self.parts[upload]

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "z/"]), delimiter=st.sampled_from(["", "/"]), size=st.integers(1, 3)
    )
    def list(self, prefix: str, delimiter: str, size: int) -> None:
        """List in pages."""
        given = {"Bucket": self.bucket, "Prefix": prefix, **({"Delimiter": delimiter} if delimiter else {})}
        pages = self.client.get_paginator("list_objects_v2").paginate(**given, PaginationConfig={"PageSize": size})
        assert [i for page in pages for i in items(page)] == expected([*self.objects], prefix, delimiter, "")

    @invariant()
    def the_whole_listing_agrees(self) -> None:
        """Compare keys and sizes."""
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        assert {o["Key"]: o["Size"] for o in found} == {key: len(data) for key, (data, _) in self.objects.items()}


@pytest.mark.slow
def test_random_operations_agree_with_a_dict(aws: Callable[..., Any]) -> None:
    Machine.client = aws("s3")
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
