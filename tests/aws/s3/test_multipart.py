"""Multipart uploads: by hand and through boto3's transfer manager."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.aws.s3.refusal import refused
from tests.aws.s3.test_objects import pattern

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
PART = 5 * MIB


def begin(s3: Any, bucket: str, key: str = "k", **given: Any) -> dict[str, Any]:
    """Begin an upload; give what every later call names it by."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **given)["UploadId"]
    return {"Bucket": bucket, "Key": key, "UploadId": upload}


def send(s3: Any, upload: dict[str, Any], number: int, data: bytes) -> dict[str, Any]:
    """Send a part; give its entry for CompleteMultipartUpload."""
    answer = s3.upload_part(**upload, PartNumber=number, Body=data)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def complete(s3: Any, upload: dict[str, Any], parts: list[dict[str, Any]], **given: Any) -> Any:
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **given)


def test_parts_become_one_object(s3: Any, bucket: str) -> None:
    data = pattern(2 * PART + 1000)
    upload = begin(s3, bucket, ContentType="a/b", Metadata={"m": "1"}, Tagging="t=1")
    spans = {1: data[:PART], 5: data[PART : 2 * PART], 9: data[2 * PART :]}
    send(s3, upload, 5, b"replaced later")
    parts = [send(s3, upload, number, spans[number]) for number in (9, 5, 1)][::-1]
    listed = s3.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(n, len(b)) for n, b in spans.items()]
    first = s3.list_parts(**upload, MaxParts=2)
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 5)
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload["UploadId"]]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    made = complete(s3, upload, parts)
    md5s = b"".join(hashlib.md5(b).digest() for b in spans.values())
    assert made["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("a/b", {"m": "1"}, 1)
    assert got["Body"].read() == data
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (spans[5], 3)
    assert second["ContentRange"] == f"bytes {PART}-{2 * PART - 1}/{len(data)}"
    assert refused(s3.get_object, Bucket=bucket, Key="k", PartNumber=4) == ("InvalidPartNumber", 416)
    assert refused(s3.list_parts, **upload) == ("NoSuchUpload", 404)
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == data


def test_what_complete_refuses(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, upload, number, b"small") for number in (1, 2)]
    finish = s3.complete_multipart_upload
    assert refused(finish, **upload, MultipartUpload={"Parts": parts}) == ("EntityTooSmall", 400)
    assert refused(finish, **upload, MultipartUpload={"Parts": parts[::-1]}) == ("InvalidPartOrder", 400)
    wrong = [{"PartNumber": 1, "ETag": '"00"'}]
    assert refused(finish, **upload, MultipartUpload={"Parts": wrong}) == ("InvalidPart", 400)
    unknown = [{**parts[0], "PartNumber": 3}]
    assert refused(finish, **upload, MultipartUpload={"Parts": unknown}) == ("InvalidPart", 400)
    assert refused(finish, **upload, MultipartUpload={"Parts": []}) == ("MalformedXML", 400)
    assert refused(finish, **upload) == ("MalformedXML", 400)
    elsewhere = {**upload, "Key": "other", "MultipartUpload": {"Parts": parts[:1]}}
    assert refused(finish, **elsewhere) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **upload, PartNumber=10_001, Body=b"") == ("InvalidArgument", 400)
    complete(s3, upload, parts[:1])  # a last part may be small
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"small"
    assert refused(finish, **upload, MultipartUpload={"Parts": parts}) == ("NoSuchUpload", 404)


def test_conditional_completion(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, pattern(MIB))]
    given = {**upload, "MultipartUpload": {"Parts": parts}, "IfNoneMatch": "*"}
    assert refused(s3.complete_multipart_upload, **given) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"there"
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == pattern(MIB)


def test_abort(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    send(s3, upload, 1, pattern(MIB))
    s3.abort_multipart_upload(**upload)
    assert refused(s3.abort_multipart_upload, **upload) == ("NoSuchUpload", 404)
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"x") == ("NoSuchUpload", 404)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    begin(s3, bucket)
    s3.delete_bucket(Bucket=bucket)  # an upload that was never completed does not hold the bucket


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_checksums_of_parts_and_whole(s3: Any, bucket: str, kind: str) -> None:
    data = pattern(PART + 12_345)
    pieces = [data[:PART], data[PART:]]
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    parts = []
    for number, piece in enumerate(pieces, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=piece, ChecksumAlgorithm="CRC32")
        parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]})
    crcs = [zlib.crc32(piece).to_bytes(4, "big") for piece in pieces]
    joined = zlib.crc32(b"".join(crcs) if kind == "COMPOSITE" else data).to_bytes(4, "big")
    wanted = base64.b64encode(joined).decode() + ("-2" if kind == "COMPOSITE" else "")
    wrong = {**upload, "MultipartUpload": {"Parts": parts}, "ChecksumCRC32": "AAAAAA==", "ChecksumType": kind}
    assert refused(s3.complete_multipart_upload, **wrong) == ("BadDigest", 400)
    spoilt = {**upload, "MultipartUpload": {"Parts": [{**parts[0], "ChecksumCRC32": "AAAAAA=="}, parts[1]]}}
    assert refused(s3.complete_multipart_upload, **spoilt) == ("InvalidPart", 400)
    made = complete(s3, upload, parts)
    assert (made["ChecksumCRC32"], made["ChecksumType"]) == (wanted, kind)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["ChecksumCRC32"], got["ChecksumType"], got["Body"].read()) == (wanted, kind, data)


def test_sha_cannot_be_of_the_full_object(s3: Any, bucket: str) -> None:
    given = {"Bucket": bucket, "Key": "k", "ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}
    assert refused(s3.create_multipart_upload, **given) == ("InvalidRequest", 400)


def test_parts_copied_from_objects(s3: Any, bucket: str) -> None:
    data, source = pattern(PART + 500), {"Bucket": bucket, "Key": "src"}
    s3.put_object(**source, Body=data)
    upload = begin(s3, bucket)
    parts = []
    for number, span in ((1, f"bytes=0-{PART - 1}"), (2, f"bytes={PART}-{len(data) - 1}"), (3, None)):
        given = {"CopySourceRange": span} if span else {}
        answer = s3.upload_part_copy(**upload, PartNumber=number, CopySource=source, **given)["CopyPartResult"]
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    beyond = {**upload, "PartNumber": 4, "CopySource": source, "CopySourceRange": f"bytes=0-{len(data)}"}
    assert refused(s3.upload_part_copy, **beyond) == ("InvalidArgument", 400)
    assert refused(complete, s3=s3, upload=upload, parts=parts) == ("EntityTooSmall", 400)
    parts = [parts[0], parts[2]]
    complete(s3, upload, parts)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data[:PART] + data


def test_uploads_are_listed_in_pages(s3: Any, bucket: str) -> None:
    begun = [begin(s3, bucket, key) for key in ("a/1", "a/1", "a/2", "b", "c/x")]
    wanted = [(u["Key"], u["UploadId"]) for u in begun]
    for size in (1, 2, 10):
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": size})
        assert [(u["Key"], u["UploadId"]) for page in pages for u in page.get("Uploads", [])] == wanted
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in rolled["CommonPrefixes"]] == ["a/", "c/"]
    assert [u["Key"] for u in rolled["Uploads"]] == ["b"]


def test_the_transfer_manager(s3: Any, bucket: str, tmp_path: Path) -> None:
    data = pattern(20 * MIB + 3)
    (tmp_path / "up").write_bytes(data)
    settings = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
    s3.upload_file(str(tmp_path / "up"), bucket, "big", Config=settings)
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    s3.download_file(bucket, "big", str(tmp_path / "down"), Config=settings)
    assert (tmp_path / "down").read_bytes() == data
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copied", Config=settings)
    s3.download_file(bucket, "copied", str(tmp_path / "copied"), Config=settings)
    assert (tmp_path / "copied").read_bytes() == data
