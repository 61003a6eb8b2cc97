"""Versions and delete markers: what each operation does to them, and what ListObjectVersions shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backends.core.kernel import Kernel
from backends.core.objects.tables import buckets
from backends.core.settings import Settings
from tests.aws.s3.refusal import error_of, refused
from tests.aws.s3.test_objects import pattern

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    """Return a bucket that keeps versions."""
    switch(s3, bucket, "Enabled")
    return bucket


def switch(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, key: str, data: bytes) -> str:
    version: str = s3.put_object(Bucket=bucket, Key=key, Body=data)["VersionId"]
    return version


def read(s3: Any, bucket: str, key: str, version: str | None = None) -> bytes:
    named = {"VersionId": version} if version is not None else {}
    data: bytes = s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()
    return data


def listed(s3: Any, bucket: str, **given: Any) -> list[tuple[str, str, bool, bool]]:
    """Return (key, version, is the latest, is a delete marker) in S3's order within each of the two kinds."""
    page = s3.list_object_versions(Bucket=bucket, **given)
    kinds = (("Versions", False), ("DeleteMarkers", True))
    return [(e["Key"], e["VersionId"], e["IsLatest"], marker) for kind, marker in kinds for e in page.get(kind, [])]


def test_versioning_is_off_on_or_suspended(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for status in ("Enabled", "Suspended"):
        switch(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    mfa = {"Status": "Enabled", "MFADelete": "Enabled"}
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=mfa) == ("NotImplemented", 501)
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={}) == ("MalformedXML", 400)


@pytest.mark.parametrize("size", [10, 20_000])
def test_every_write_is_kept(s3: Any, bucket: str, size: int) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=pattern(20_001), ContentType="a/b", Metadata={"a": "b"}, Tagging="a=b")
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    switch(s3, bucket, "Enabled")
    bodies = [pattern(size + n) for n in range(3)]
    versions = [put(s3, bucket, "k", data) for data in bodies]
    assert len(set(versions)) == 3
    assert read(s3, bucket, "k") == bodies[2]
    assert [read(s3, bucket, "k", version) for version in versions] == bodies
    assert read(s3, bucket, "k", "null") == b"before"
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == versions[2]
    null = s3.get_object(Bucket=bucket, Key="k", VersionId="null")
    assert (null["VersionId"], null["ContentType"], null["Metadata"]) == ("null", "binary/octet-stream", {})
    assert "TagCount" not in null
    order = [*reversed(versions), "null"]
    assert listed(s3, bucket) == [("k", version, version == versions[2], False) for version in order]
    assert [o["Size"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [size + 2]


def test_a_delete_marker_hides_and_can_be_taken_away(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, "k", b"1")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert deleted["DeleteMarker"] is True
    marker = deleted["VersionId"]
    for call in (s3.get_object, s3.head_object):
        error = error_of(call, Bucket=versioned, Key="k")
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
        sent = error["ResponseMetadata"]["HTTPHeaders"]
        assert (sent["x-amz-delete-marker"], sent["x-amz-version-id"]) == ("true", marker)
    error = error_of(s3.get_object, Bucket=versioned, Key="k", VersionId=marker)
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("MethodNotAllowed", 405)
    assert error["ResponseMetadata"]["HTTPHeaders"]["allow"] == "DELETE"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert listed(s3, versioned) == [("k", first, False, False), ("k", marker, True, True)]
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"1"
    assert listed(s3, versioned) == [("k", first, True, False)]


def test_a_version_is_removed_for_good(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, "k", b"1"), put(s3, versioned, "k", b"2")
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=second)
    assert (gone["VersionId"], "DeleteMarker" in gone) == (second, False)
    assert read(s3, versioned, "k") == b"1"
    error = error_of(s3.get_object, Bucket=versioned, Key="k", VersionId=second)["Error"]
    assert (error["Code"], error["Key"], error["VersionId"]) == ("NoSuchVersion", "k", second)
    assert s3.delete_object(Bucket=versioned, Key="k", VersionId=second)["VersionId"] == second
    assert refused(s3.get_object, Bucket=versioned, Key="k", VersionId="no such form") == ("InvalidArgument", 400)
    assert refused(s3.delete_bucket, Bucket=versioned) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=first)
    s3.delete_bucket(Bucket=versioned)


def test_a_suspended_bucket_writes_the_version_null(s3: Any, versioned: str) -> None:
    kept = put(s3, versioned, "k", b"kept")
    switch(s3, versioned, "Suspended")
    for body in (b"null 1", b"null 2"):
        assert "VersionId" not in s3.put_object(Bucket=versioned, Key="k", Body=body)
        assert s3.head_object(Bucket=versioned, Key="k")["VersionId"] == "null"
    assert listed(s3, versioned) == [("k", "null", True, False), ("k", kept, False, False)]
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert (deleted["VersionId"], deleted["DeleteMarker"]) == ("null", True)
    assert listed(s3, versioned) == [("k", kept, False, False), ("k", "null", True, True)]
    assert read(s3, versioned, "k", kept) == b"kept"
    switch(s3, versioned, "Enabled")
    fresh = put(s3, versioned, "k", b"fresh")
    assert listed(s3, versioned) == [("k", fresh, True, False), ("k", kept, False, False), ("k", "null", False, True)]


def test_many_are_deleted_with_their_versions(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, "a", b"a")
    put(s3, versioned, "b", b"b")
    requested = [{"Key": "a", "VersionId": version}, {"Key": "b"}, {"Key": "c", "VersionId": "?"}]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": requested})
    first, second = answer["Deleted"]
    assert first == {"Key": "a", "VersionId": version}
    assert (second["Key"], second["DeleteMarker"]) == ("b", True)
    assert answer["Errors"][0] | {"Message": ""} == {
        "Key": "c", "VersionId": "?", "Code": "InvalidArgument", "Message": "",
    }  # fmt: skip
    assert listed(s3, versioned)[-1] == ("b", second["DeleteMarkerVersionId"], True, True)


def test_copies_tags_and_attributes_of_a_version(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, "k", b"one"), put(s3, versioned, "k", b"second")
    source = {"Bucket": versioned, "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)  # how a version is restored
    assert copied["CopySourceVersionId"] == first
    assert copied["VersionId"] not in {first, second}
    assert read(s3, versioned, "k") == b"one"
    one = {"Bucket": versioned, "Key": "k", "VersionId": first}
    tagging = {"TagSet": [{"Key": "t", "Value": "1"}]}
    assert s3.put_object_tagging(**one, Tagging=tagging)["VersionId"] == first
    assert s3.get_object_tagging(**one)["TagSet"] == tagging["TagSet"]
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == []
    assert s3.delete_object_tagging(**one)["VersionId"] == first
    assert s3.get_object_tagging(**one)["TagSet"] == []
    attributes = s3.get_object_attributes(**one, ObjectAttributes=["ObjectSize", "ETag", "StorageClass"])
    assert (attributes["ObjectSize"], attributes["VersionId"], attributes["StorageClass"]) == (3, first, "STANDARD")
    assert attributes["ETag"] == s3.head_object(**one)["ETag"].strip('"')
    upload = {"Bucket": versioned, "Key": "m", "UploadId": ""}
    upload["UploadId"] = s3.create_multipart_upload(Bucket=versioned, Key="m")["UploadId"]
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource={**source, "VersionId": second})
    assert part["CopySourceVersionId"] == second
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    made = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert read(s3, versioned, "m", made["VersionId"]) == b"second"
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    given = {"Bucket": versioned, "Key": "c", "CopySource": {**source, "VersionId": marker}}
    assert refused(s3.copy_object, **given) == ("InvalidRequest", 400)
    assert refused(s3.copy_object, Bucket=versioned, Key="c", CopySource=f"{versioned}/k") == ("NoSuchKey", 404)


def test_conditions_ask_for_the_current_version(s3: Any, versioned: str) -> None:
    put(s3, versioned, "k", b"1")
    given = {"Bucket": versioned, "Key": "k", "Body": b"2"}
    assert refused(s3.put_object, **given, IfNoneMatch="*") == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=versioned, Key="k")
    assert refused(s3.put_object, **given, IfMatch='"c4ca4238a0b923820dcc509a6f75849b"') == ("NoSuchKey", 404)
    etag = s3.put_object(**given, IfNoneMatch="*")["ETag"]
    assert refused(s3.delete_object, Bucket=versioned, Key="k", IfMatch='"0"') == ("PreconditionFailed", 412)
    assert s3.delete_object(Bucket=versioned, Key="k", IfMatch=etag)["DeleteMarker"] is True


def test_pages_of_versions_are_the_whole_listing(s3: Any, versioned: str) -> None:
    for key in ("a/1", "a/2", "b", "b", "b", "c/ü", "d"):
        put(s3, versioned, key, key.encode())
    s3.delete_object(Bucket=versioned, Key="b")
    whole = sorted(listed(s3, versioned))
    assert len(whole) == 8
    for size in (1, 2, 3, 7):
        pages = [*s3.get_paginator("list_object_versions").paginate(
            Bucket=versioned, PaginationConfig={"PageSize": size}
        )]  # fmt: skip
        kinds = (("Versions", False), ("DeleteMarkers", True))
        paged = [
            (e["Key"], e["VersionId"], e["IsLatest"], marker)
            for page in pages for kind, marker in kinds for e in page.get(kind, [])
        ]  # fmt: skip
        assert sorted(paged) == whole
    rolled = s3.list_object_versions(Bucket=versioned, Delimiter="/", EncodingType="url")
    assert [p["Prefix"] for p in rolled["CommonPrefixes"]] == ["a/", "c/"]
    assert {e["Key"] for e in rolled["Versions"]} == {"b", "d"}
    one = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=1)
    assert (one["NextKeyMarker"], one["IsTruncated"], "Versions" in one) == ("a/", True, False)
    after = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=1, KeyMarker="a/")
    assert after["DeleteMarkers"][0]["Key"] == "b"
    assert {e["Key"] for e in s3.list_object_versions(Bucket=versioned, Prefix="a/")["Versions"]} == {"a/1", "a/2"}
    marked = {"Bucket": versioned, "VersionIdMarker": whole[0][1]}
    assert refused(s3.list_object_versions, **marked) == ("InvalidArgument", 400)


def test_a_bucket_can_be_emptied_page_by_page(s3: Any, versioned: str) -> None:
    for number in range(7):
        put(s3, versioned, "k", b"%d" % number)
    page = s3.list_object_versions(Bucket=versioned, MaxKeys=3)
    while True:
        named = [{"Key": e["Key"], "VersionId": e["VersionId"]} for e in page["Versions"]]
        s3.delete_objects(Bucket=versioned, Delete={"Objects": named, "Quiet": True})
        if not page["IsTruncated"]:
            break
        marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        page = s3.list_object_versions(Bucket=versioned, MaxKeys=3, **marks)
    s3.delete_bucket(Bucket=versioned)


def test_the_store_that_jobs_read_has_the_current_versions_only(tmp_path: Path) -> None:
    kernel = Kernel(Settings.read({}, data_dir=tmp_path / "data"), ())
    kernel.open()
    store, cx = kernel.objects, kernel.context("111111111111", "us-east-1")
    made = {"name": "jobs", "account": cx.account, "region": cx.region, "created": 0.0}
    cx.write(lambda inside: inside.db.execute(buckets.insert(), made))
    cx.write(lambda inside: store.configure(inside, "jobs", "Versioning", "Enabled"))
    for key in ("in/a", "in/b"):
        for data in (b"old", b"new"):
            store.put_bytes(cx, "jobs", key, data)
    cx.write(lambda inside: store.delete(inside, "jobs", "in/b"))
    keys = cx.look(lambda inside: store.list_keys(inside, "jobs", "in/"))
    assert [(each.key, store.read_bytes(each)) for each in keys] == [("in/a", b"new")]
    assert cx.look(lambda inside: store.head(inside, "jobs", "in/b")) is None
    kernel.db.close()
    kernel.lease.release()
