"""Listings: both versions, prefix, delimiter, markers, pages; judged by a plain model over the same keys."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from api_specs import model
from backends.aws.s3 import access, listing_xml
from server.protocol import rest_xml
from tests.aws.s3.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = [
    "a", "a/", "a/b", "a/b/c", "a/b/d", "a/c", "a0", "b//x", "b//y", "c d/e f", "c d/g", "d", "é/1", "é/2", "ü", "z/\U0001f511",
    "z/\U0010ffff", "zz", "\U00010000", "\uffff!",
]  # fmt: skip


def expected(keys: list[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """Return what S3 lists: keys and common prefixes beyond `after`, in the order of their UTF-8 bytes."""
    wanted = set()
    for key in keys:
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            wanted.add(key[: end + len(delimiter)] if end >= 0 else key)
    return sorted((item for item in wanted if item > after), key=str.encode)


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def items(page: dict[str, Any]) -> list[str]:
    both = [o["Key"] for o in page.get("Contents", [])] + [p["Prefix"] for p in page.get("CommonPrefixes", [])]
    return sorted(both, key=str.encode)


@pytest.mark.parametrize("delimiter", ["", "/", "//", "b"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "b", "c d/", "é", "z/", "none"])
def test_both_listings_agree_with_a_model(s3: Any, filled: str, prefix: str, delimiter: str) -> None:
    given = {"Bucket": filled, "Prefix": prefix, **({"Delimiter": delimiter} if delimiter else {})}
    for after in ("", "a", "a/", "a/b", "c d/e f", "zzz"):
        wanted = expected(KEYS, prefix, delimiter, after)
        assert items(s3.list_objects_v2(**given, StartAfter=after)) == wanted
        assert items(s3.list_objects(**given, Marker=after)) == wanted
    wanted = expected(KEYS, prefix, delimiter, "")
    for size in (1, 2, 3):
        pages = s3.get_paginator("list_objects_v2").paginate(**given, PaginationConfig={"PageSize": size})
        assert [item for page in pages for item in items(page)] == wanted
        pages = s3.get_paginator("list_objects").paginate(**given, PaginationConfig={"PageSize": size})
        assert [item for page in pages for item in items(page)] == wanted


def test_members_of_a_listing(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=2, FetchOwner=True)
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"], page["Name"]) == (2, 2, True, filled)
    first = page["Contents"][0]
    assert (first["Key"], first["Size"], first["StorageClass"]) == ("a", 1, "STANDARD")
    assert first["ETag"] == s3.head_object(Bucket=filled, Key="a")["ETag"]
    assert len(first["Owner"]["ID"]) == 64
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    empty = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (empty["KeyCount"], empty["IsTruncated"], items(empty)) == (0, False, [])
    bad = {"Bucket": filled, "ContinuationToken": "nonsense"}
    assert refused(s3.list_objects_v2, **bad) == ("InvalidArgument", 400)
    versions = s3.list_object_versions(Bucket=filled, Prefix="a/b")["Versions"]
    assert {(v["VersionId"], v["IsLatest"]) for v in versions} == {("null", True)}


@pytest.mark.parametrize("account", [None, "123456789012"])
def test_the_quick_writer_writes_what_the_general_one_writes(account: str | None) -> None:
    entry = {
        "Key": 'a<&>"\r ü',
        "LastModified": 1_700_000_000.007,
        "ETag": '"00"',
        "Size": 7,
        "StorageClass": "STANDARD",
    }
    more = {"StorageClass": "GLACIER_IR", "ChecksumAlgorithm": ["CRC32", "SHA1"], "ChecksumType": "COMPOSITE"}
    plain = {"ChecksumAlgorithm": ["CRC32"], "ChecksumType": "FULL_OBJECT"}
    owner = {} if account is None else {"Owner": access.owner(account)}
    answer = {
        "Name": "b", "Prefix": "a&", "MaxKeys": 2, "IsTruncated": True, "Delimiter": "/", "EncodingType": "url",
        "Contents": [{**entry, **owner}, {**entry, "LastModified": 0.0, **more, **owner}, {**entry, **plain, **owner}],
        "CommonPrefixes": [{"Prefix": "p<"}, {"Prefix": "q"}], "KeyCount": 4,
    }  # fmt: skip
    general = rest_xml.serialize(model.operation("ListObjectsV2", "s3"), answer, "id").body
    info = {"StorageClass": "GLACIER_IR", "ChecksumType": "COMPOSITE", "Checksums": {"CRC32": "AA==", "SHA1": "AA=="}}
    moments = [
        (1_700_000_000.007, {"ContentType": "a/b"}),
        (0.0, info),
        (1_700_000_000.007, {"Checksums": {"CRC32": ""}}),
    ]
    rows = [(entry["Key"], 7, "00", moment, json.dumps(info).encode()) for moment, info in moments]
    assert general == listing_xml.document({**answer, "Contents": rows, "CommonPrefixes": ["p<", "q"]}, str, account)


@pytest.mark.slow
def test_a_delimiter_jumps_over_what_it_rolls_up(s3: Any, bucket: str, aws: Callable[..., Any]) -> None:
    """Three prefixes of 1,000 keys: listing them costs about as much as listing three keys, and nothing is missed."""
    from concurrent.futures import ThreadPoolExecutor

    names = [f"p{i}/{j:04d}" for i in range(3) for j in range(1000)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), names))
    began = time.perf_counter()
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    jumped = time.perf_counter() - began
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["p0/", "p1/", "p2/"]
    began = time.perf_counter()
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    whole = time.perf_counter() - began
    assert [o["Key"] for p in pages for o in p["Contents"]] == names
    assert [len(p["Contents"]) for p in pages] == [1000, 1000, 1000]
    assert jumped < whole / 3
