"""Every checksum algorithm: as a header, as a trailer of an aws-chunked body, of parts and of the whole."""

from __future__ import annotations

import base64
import hashlib
import http.client
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from backends.aws.s3 import checksums
from tests.aws.s3.refusal import refused
from tests.aws.s3.test_multipart import PART, begin, complete
from tests.aws.s3.test_objects import pattern

if TYPE_CHECKING:
    from tests.conftest import LiveServer

# Published check values of "123456789": CRCs from the reveng catalogue (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME); the
# others computed with awscrt 0.38, which AWS's own clients use.
CHECK = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": hashlib.sha1(b"123456789").hexdigest(),
    "SHA256": hashlib.sha256(b"123456789").hexdigest(),
    "SHA512": hashlib.sha512(b"123456789").hexdigest(),
    "MD5": hashlib.md5(b"123456789").hexdigest(),
    "XXHASH64": "8cb841db40e6ae83",
    "XXHASH3": "72dcb18b67a17dff",
    "XXHASH128": "33119477ede5dcd5e9716427681d5860",
}
CRCS = ("CRC32", "CRC32C", "CRC64NVME")


def b64(algorithm: str, data: bytes) -> str:
    digest = checksums.maker(algorithm)()
    digest.update(data)
    return base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize("algorithm", checksums.NAMES)
def test_the_published_check_values(algorithm: str) -> None:
    digest = checksums.maker(algorithm)()
    for piece in (b"1234", b"", b"56789"):
        digest.update(piece)
    assert digest.digest().hex() == CHECK[algorithm]


@pytest.mark.parametrize("algorithm", checksums.NAMES)
@pytest.mark.parametrize("size", [9, 300_000])
def test_as_a_header(s3: Any, bucket: str, algorithm: str, size: int) -> None:
    data, name = pattern(size), f"Checksum{algorithm}"
    value = b64(algorithm, data)
    given = {"Bucket": bucket, "Key": "k", "Body": data}
    assert s3.put_object(**given, **{name: value})[name] == value
    got = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got[name], got["ChecksumType"]) == (value, "FULL_OBJECT")
    attributes = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum"])["Checksum"]
    assert attributes == {name: value, "ChecksumType": "FULL_OBJECT"}
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ChecksumAlgorithm"] == [algorithm]
    assert refused(s3.put_object, **given, **{name: b64(algorithm, data + b"x")}) == ("BadDigest", 400)
    assert refused(s3.put_object, **given, **{name: "AAA="}) == ("InvalidRequest", 400)


@pytest.mark.parametrize("algorithm", checksums.NAMES)
def test_as_a_trailer(server: LiveServer, s3: Any, bucket: str, account: str, algorithm: str) -> None:
    data, header = pattern(100_000), f"x-amz-checksum-{algorithm.lower()}"

    def send(value: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
        chunks = [data[:70_000], data[70_000:], b""]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(c), c) if c else b"0\r\n" for c in chunks)
        framed += f"{header}:{value}\r\n\r\n".encode()
        connection.request("PUT", f"/{bucket}/k", framed, {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/s3/aws4_request",
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": header,
        })  # fmt: skip
        status = connection.getresponse().status
        connection.close()
        return status

    assert send(b64(algorithm, b"another")) == 400
    assert send(b64(algorithm, data)) == 200
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got[f"Checksum{algorithm}"], got["Body"].read()) == (b64(algorithm, data), data)
    assert "ContentEncoding" not in got


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [(name, "COMPOSITE") for name in checksums.NAMES if name != "CRC64NVME"] + [(name, "FULL_OBJECT") for name in CRCS],
)
def test_of_parts_and_the_whole(s3: Any, bucket: str, algorithm: str, kind: str) -> None:
    data, name = pattern(PART + 999), f"Checksum{algorithm}"
    pieces = [data[:PART], data[PART:]]
    upload = begin(s3, bucket, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    parts = []
    for number, piece in enumerate(pieces, 1):
        value = b64(algorithm, piece)
        answer = s3.upload_part(**upload, PartNumber=number, Body=piece, **{name: value})
        parts.append({"PartNumber": number, "ETag": answer["ETag"], name: value})
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, kind)
    assert [part[name] for part in listed["Parts"]] == [part[name] for part in parts]
    digests = b"".join(base64.b64decode(part[name]) for part in parts)
    wanted = b64(algorithm, data) if kind == "FULL_OBJECT" else f"{b64(algorithm, digests)}-2"
    made = complete(s3, upload, parts)
    assert (made[name], made["ChecksumType"]) == (wanted, kind)
    second = s3.head_object(Bucket=bucket, Key="k", PartNumber=2, ChecksumMode="ENABLED")
    assert second[name] == parts[1][name]
    given = {"Bucket": bucket, "Key": "k", "ObjectAttributes": ["Checksum", "ObjectParts"]}
    attributes = s3.get_object_attributes(**given)
    assert attributes["Checksum"] == {name: wanted.partition("-")[0], "ChecksumType": kind}
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2
    assert [(p["Size"], p[name]) for p in attributes["ObjectParts"]["Parts"]] == [
        (len(piece), part[name]) for piece, part in zip(pieces, parts, strict=True)
    ]
    page = s3.get_object_attributes(**given, MaxParts=1)["ObjectParts"]
    assert (page["IsTruncated"], page["NextPartNumberMarker"], len(page["Parts"])) == (True, 1, 1)


def test_without_one_s3_computes_crc64nvme(server: LiveServer, bucket: str, account: str) -> None:
    s3 = server.client("s3", account, request_checksum_calculation="when_required")
    data = pattern(PART + 10)
    assert s3.put_object(Bucket=bucket, Key="k", Body=data)["ChecksumCRC64NVME"] == b64("CRC64NVME", data)
    upload = begin(s3, bucket)
    pieces = [data[:PART], data[PART:]]
    tags = [s3.upload_part(**upload, PartNumber=n, Body=piece)["ETag"] for n, piece in enumerate(pieces, 1)]
    made = complete(s3, upload, [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)])
    assert (made["ChecksumCRC64NVME"], made["ChecksumType"]) == (b64("CRC64NVME", data), "FULL_OBJECT")
    assert "Parts" not in s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectParts"])
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/k", ChecksumAlgorithm="CRC32")
    assert copied["CopyObjectResult"]["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_what_cannot_be(s3: Any, bucket: str) -> None:
    given = {"Bucket": bucket, "Key": "k"}
    for algorithm, kind in (("CRC64NVME", "COMPOSITE"), ("XXHASH3", "FULL_OBJECT"), ("MD5", "FULL_OBJECT")):
        requested = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
        assert refused(s3.create_multipart_upload, **given, **requested) == ("InvalidRequest", 400)
    two = {"ChecksumCRC32": "AAAAAA==", "ChecksumCRC32C": "AAAAAA=="}
    assert refused(s3.put_object, **given, Body=b"x", **two) == ("InvalidRequest", 400)
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32C")
    wrong = {"ChecksumSHA1": b64("SHA1", b"x")}
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"x", **wrong) == ("InvalidRequest", 400)
