"""Layers out: whole or in part, from the file to the socket in blocks."""

from __future__ import annotations

import asyncio
import os
import re
from typing import IO, TYPE_CHECKING

from backends.aws.ecr import layers
from backends.aws.ecr.manifests import DIGEST
from server.registry.replies import RegistryError, Visit, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from server.types import HttpResponse

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
BLOCK_BYTES = 1 << 20


async def get(visit: Visit, digest: str) -> HttpResponse:
    """Return a layer, or what it would be."""
    check_digest(digest)
    row = await visit.cx.read(lambda cx: layers.find(cx, visit.repository, digest))
    if row is None:
        raise unknown(digest)
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", digest),
        ("ETag", f'"{digest}"'),
        ("Accept-Ranges", "bytes"),
    ]
    first, after, status = 0, row.size, 200
    if "range" in visit.request.headers:
        first, after = _range(visit.request.headers["range"], row.size)
        headers.append(("Content-Range", f"bytes {first}-{after - 1}/{row.size}"))
        status = 206
    headers.append(("Content-Length", str(after - first)))
    if visit.request.method == "HEAD":
        return reply(status, b"", *headers)
    try:
        file = await asyncio.to_thread(layers.files(visit.cx.kernel).blobs.path(row.blob).open, "rb")
    except FileNotFoundError:  # its image was deleted in between
        raise unknown(digest) from None
    return reply(status, _blocks(file, first, after), *headers)


def check_digest(digest: str) -> None:
    """Refuse what is no sha256 digest: other algorithms are not kept."""
    if not DIGEST.fullmatch(digest):
        raise RegistryError(400, "DIGEST_INVALID", f"no sha256 digest: {digest}")


def unknown(digest: str) -> RegistryError:
    """Return BLOB_UNKNOWN."""
    return RegistryError(404, "BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest})


def _range(text: str, size: int) -> tuple[int, int]:
    """Read one range of bytes; give the first and the one after the last."""
    matched = RANGE.fullmatch(text.strip())
    first = after = 0
    if matched is not None and matched[1]:
        first, after = int(matched[1]), min(int(matched[2]) + 1 if matched[2] else size, size)
    elif matched is not None and matched[2]:
        first, after = max(size - int(matched[2]), 0), size
    if first >= after:
        raise RegistryError(
            416, "SIZE_INVALID", "the range cannot be satisfied", (("Content-Range", f"bytes */{size}"),)
        )
    return first, after


async def _blocks(file: IO[bytes], first: int, after: int) -> AsyncIterator[bytes]:
    try:
        while first < after:
            block = await asyncio.to_thread(os.pread, file.fileno(), min(BLOCK_BYTES, after - first), first)
            if not block:
                raise OSError(f"{file.name} is shorter than its row says")
            first += len(block)
            yield block
    finally:
        file.close()
