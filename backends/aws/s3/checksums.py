"""The digests that S3 verifies and keeps: Content-MD5 and x-amz-checksum-*, of objects, parts and what parts make.

CRCs come from anycrc, which also joins those of two pieces; XXHASH from xxhash; the rest from the standard library.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import anycrc
import xxhash

from backends.aws.s3 import failures
from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128")
HEADER = "x-amz-checksum-"
DEFAULT = "CRC64NVME"
"""What S3 computes, since December 2024, where the client sends no checksum."""

FULL_ONLY = {"CRC64NVME"}
FULL_CAPABLE = {"CRC32", "CRC32C", "CRC64NVME"}


class Digest(Protocol):
    """What hashlib's objects, xxhash's and `Crc` share."""

    def update(self, data: bytes, /) -> object:
        """Take more bytes in."""

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""


@cache
def _model(algorithm: str) -> Any:
    return anycrc.Model({"CRC32": "CRC32", "CRC32C": "CRC32-ISCSI", "CRC64NVME": "CRC64-NVME"}[algorithm])


class Crc:
    """A CRC, most significant byte first."""

    def __init__(self, algorithm: str) -> None:
        self._calc, self._bytes = _model(algorithm).calc, 8 if algorithm == "CRC64NVME" else 4
        self._value: int | None = None

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""
        self._value = self._calc(data) if self._value is None else self._calc(data, self._value)

    def digest(self) -> bytes:
        """Return four bytes, or eight."""
        return int(self._value or 0).to_bytes(self._bytes, "big")


MAKERS: dict[str, Callable[[], Digest]] = {
    "CRC32": lambda: Crc("CRC32"),
    "CRC32C": lambda: Crc("CRC32C"),
    "CRC64NVME": lambda: Crc("CRC64NVME"),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "XXHASH64": xxhash.xxh64,
    "XXHASH3": xxhash.xxh3_64,
    "XXHASH128": xxhash.xxh3_128,
}


@dataclass(frozen=True, slots=True)
class RequestedChecksum:
    """Which checksum a request is about: its value where a header has it, else the name of the trailer that will."""

    algorithm: str
    expected: str | None
    trailer: str | None


def maker(algorithm: str) -> Callable[[], Digest]:
    """Return what computes an algorithm."""
    made = MAKERS.get(algorithm)
    if made is None:
        raise failures.invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the "
                                       f"valid types: [{', '.join(sorted(MAKERS))}]")  # fmt: skip
    return made


def requested(headers: Mapping[str, str], request: dict[str, Any]) -> RequestedChecksum | None:
    """Read which checksum a body comes with; InvalidRequest for several, or for one that is announced and not there."""
    given = [name for name in NAMES if f"Checksum{name}" in request]
    announced = request.get("ChecksumAlgorithm")
    trailer = headers.get("x-amz-trailer", "").strip().lower()
    if len(given) > 1 or (given and trailer.startswith(HEADER)):
        raise failures.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    if given:
        if announced not in {None, given[0]}:
            raise failures.invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
        value = request[f"Checksum{given[0]}"]
        _check_spelling(given[0], value)
        return RequestedChecksum(given[0], value, None)
    if trailer.startswith(HEADER):
        name = trailer.removeprefix(HEADER).upper()
        maker(name)
        return RequestedChecksum(name, None, trailer)
    if announced is not None:
        raise failures.invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found."
        )
    return None


def _check_spelling(algorithm: str, value: str) -> None:
    size = len(maker(algorithm)().digest())
    if len(_decoded(value)) != size:
        raise failures.invalid_request(f"Value for {HEADER}{algorithm.lower()} header is invalid.")


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return b""


def check_md5(request: dict[str, Any], hexadecimal: str) -> None:
    """Raise InvalidDigest or BadDigest where Content-MD5 is no digest, or not that of the body."""
    given = request.get("ContentMD5")
    if given is None:
        return
    wanted = _decoded(given)
    if len(wanted) != 16:
        raise errors.AwsError("InvalidDigest", "The Content-MD5 you specified is not valid.", 400)
    if wanted.hex() != hexadecimal:
        raise failures.bad_digest("Content-MD5")


def check(requested: RequestedChecksum, digest: Digest, trailers: Mapping[str, str]) -> str:
    """Compare a body's checksum with the one it came with; give it in base64. Raises BadDigest."""
    value = spelled(digest)
    expected = requested.expected if requested.trailer is None else trailers.get(requested.trailer)
    if expected is None and requested.trailer is not None:
        raise failures.invalid_request(f"The {requested.trailer} trailer that was announced did not come.")
    if expected not in {None, value}:
        raise failures.bad_digest(requested.algorithm)
    return value


def spelled(digest: Digest) -> str:
    """Return a digest in base64."""
    return base64.b64encode(digest.digest()).decode()


def members(info: dict[str, Any]) -> dict[str, str]:
    """Return the response members of an object's stored checksums."""
    values = {f"Checksum{name}": value for name, value in info.get("Checksums", {}).items()}
    return {**values, "ChecksumType": info.get("ChecksumType", "FULL_OBJECT")} if values else {}


def part_members(info: dict[str, Any], number: int) -> dict[str, str]:
    """Return the response members of the checksums of one part, from 1."""
    kept = info.get("PartChecksums")
    if kept is None:
        return members(info) if "Parts" not in info and number == 1 else {}
    shown = {f"Checksum{name}": values[number - 1] for name, values in kept.items()}
    return {**shown, "ChecksumType": info.get("ChecksumType", "COMPOSITE")}


def composite(algorithm: str, parts: list[str]) -> str:
    """Return the checksum of checksums of a multipart object, as S3 spells it: `<base64>-<parts>`."""
    digest = maker(algorithm)()
    for part in parts:
        digest.update(base64.b64decode(part))
    return f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"


def full(algorithm: str, parts: list[tuple[str, int]]) -> str:
    """Return the CRC of the whole from its parts' (base64, size), without reading their bytes again."""
    combine, first = _model(algorithm).combine, base64.b64decode(parts[0][0])
    whole = int.from_bytes(first, "big")
    for value, size in parts[1:]:
        if size:
            whole = combine(whole, int.from_bytes(base64.b64decode(value), "big"), size)
    return base64.b64encode(int(whole).to_bytes(len(first), "big")).decode()
