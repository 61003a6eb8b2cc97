"""The digests that S3 verifies and keeps: Content-MD5 and x-amz-checksum-*.

CRC32C, CRC64NVME and XXHASH need code that the standard library lacks; they answer 501, never a wrong value.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from backends.aws.s3 import failures
from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128")
HEADER = "x-amz-checksum-"
CRC32_POLYNOMIAL = 0xEDB88320


class Digest(Protocol):
    """What hashlib's objects and `Crc32` share."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""

    def digest(self) -> bytes:
        """Give the digest of all bytes so far."""


class Crc32:
    """CRC-32 as zlib computes it, most significant byte first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take more bytes in."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Give four bytes."""
        return self._value.to_bytes(4, "big")


MAKERS: dict[str, Callable[[], Digest]] = {
    "CRC32": Crc32,
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}
FULL_ONLY = {"CRC64NVME"}
FULL_CAPABLE = {"CRC32", "CRC32C", "CRC64NVME"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which checksum a request is about: its value where a header has it, else the name of the trailer that will."""

    algorithm: str
    expected: str | None
    trailer: str | None


def maker(algorithm: str) -> Callable[[], Digest]:
    """Give what computes an algorithm; 501 where nothing here can."""
    made = MAKERS.get(algorithm)
    if made is None:
        raise errors.not_implemented(f"the S3 checksum {algorithm}")
    return made


def asked(headers: Mapping[str, str], request: dict[str, Any]) -> Asked | None:
    """Read which checksum a body comes with; InvalidRequest for several, or for one that is announced and not there."""
    given = [name for name in NAMES if f"Checksum{name}" in request]
    announced = request.get("ChecksumAlgorithm")
    trailer = headers.get("x-amz-trailer", "").strip().lower()
    if len(given) > 1:
        raise failures.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    if given:
        if announced not in {None, given[0]}:
            raise failures.invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
        value = request[f"Checksum{given[0]}"]
        _check_spelling(given[0], value)
        return Asked(given[0], value, None)
    if trailer.startswith(HEADER):
        name = trailer.removeprefix(HEADER).upper()
        maker(name)
        return Asked(name, None, trailer)
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


def check(plan: Asked, digest: Digest, trailers: Mapping[str, str]) -> str:
    """Compare a body's checksum with the one it came with; give it in base64. Raises BadDigest."""
    value = base64.b64encode(digest.digest()).decode()
    expected = plan.expected if plan.trailer is None else trailers.get(plan.trailer)
    if expected is None and plan.trailer is not None:
        raise failures.invalid_request(f"The {plan.trailer} trailer that was announced did not come.")
    if expected not in {None, value}:
        raise failures.bad_digest(plan.algorithm)
    return value


def members(info: dict[str, Any]) -> dict[str, str]:
    """Give the response members of an object's stored checksums."""
    found = {f"Checksum{name}": value for name, value in info.get("Checksums", {}).items()}
    return {**found, "ChecksumType": info.get("ChecksumType", "FULL_OBJECT")} if found else {}


def composite(algorithm: str, parts: list[str]) -> str:
    """Give the checksum of checksums of a multipart object, as S3 spells it: `<base64>-<parts>`."""
    digest = maker(algorithm)()
    for part in parts:
        digest.update(base64.b64decode(part))
    return f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"


def full_crc32(parts: list[tuple[str, int]]) -> str:
    """Give the CRC32 of the whole from its parts' (base64, size), without reading their bytes again."""
    whole = 0
    for value, size in parts:
        whole = _combine(whole, int.from_bytes(base64.b64decode(value), "big"), size)
    return base64.b64encode(whole.to_bytes(4, "big")).decode()


def _combine(first: int, second: int, second_size: int) -> int:
    """Join two CRCs: shift the first over `second_size` zero bytes, a power of two at a time, then add the second.

    Source: the CRC register is a vector over GF(2), and appending zero bits a linear map of it; its powers are squares.
    """
    step = [CRC32_POLYNOMIAL, *(1 << bit for bit in range(31))]  # one zero bit
    for _ in range(3):
        step = _square(step)  # eight
    while second_size:
        if second_size & 1:
            first = _apply(step, first)
        step, second_size = _square(step), second_size >> 1
    return first ^ second


def _apply(matrix: list[int], vector: int) -> int:
    total = 0
    for column in matrix:
        if vector & 1:
            total ^= column
        vector >>= 1
    return total


def _square(matrix: list[int]) -> list[int]:
    return [_apply(matrix, column) for column in matrix]
