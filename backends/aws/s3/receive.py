"""Bodies on their way in: constant memory, hashed and written in a thread, one block behind the socket.

Up to 16 KiB never touch the disk: making and renaming a file costs more than everything else of a small PutObject.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from backends.aws.s3 import checksums, chunked, failures
from backends.core.objects import Content
from backends.core.objects.store import INLINE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from cryptography.hazmat.primitives.ciphers import CipherContext

    from backends.aws.s3.customer_keys import CustomerKey
    from backends.core.context import Context
    from backends.core.objects.blobs import BlobWriter

T = TypeVar("T")
BLOCK_BYTES = 1 << 20
MOST_BYTES = 5 << 30


@dataclass(slots=True)
class Received:
    """A body that is stored and verified, and its checksum (base64) by algorithm."""

    content: Content
    checksums: dict[str, str]
    nonces: list[str] = field(default_factory=list)
    """Where a customer's key encrypted it."""

    def keep_in(self, info: dict[str, Any], key: CustomerKey | None = None) -> None:
        """Note in an object's `info` what was computed on the way."""
        if self.checksums:
            info["Checksums"] = self.checksums
        if key is not None:
            info["Customer"] = key.kept(self.nonces)


@dataclass(slots=True)
class _Intake:
    """One body as it comes: where from, and what is computed over it."""

    source: AsyncIterator[bytes]
    requested: checksums.RequestedChecksum | None
    digest: checksums.Digest | None
    second: str = ""
    """A checksum that is kept beside the one that the body came with."""
    second_digest: checksums.Digest | None = None
    trailers: dict[str, str] = field(default_factory=dict)

    def update(self, data: bytes) -> None:
        """Take bytes into what is computed."""
        if self.digest is not None:
            self.digest.update(data)
        if self.second_digest is not None:
            self.second_digest.update(data)

    def verify(self, request: dict[str, Any], etag: str, algorithm: str | None) -> dict[str, str]:
        """Check what the client said about the body; give the checksum to keep."""
        checksums.check_md5(request, etag)
        if self.digest is None:
            return {}
        requested = self.requested or checksums.RequestedChecksum(algorithm or "", None, None)
        verified = {requested.algorithm: checksums.check(requested, self.digest, self.trailers)}
        if self.second_digest is not None:
            verified[self.second] = checksums.spelled(self.second_digest)
        return verified


async def receive(
    cx: Context,
    request: dict[str, Any],
    algorithm: str | None = None,
    *,
    inline: bool = True,
    key: CustomerKey | None = None,
    always: bool = False,
) -> Received:
    """Store the body of a request.

    `algorithm`: the checksum to compute even when the client sent none; `always`: and beside another that it sent.
    """
    intake = _intake(cx, request, algorithm, always=always)
    cipher, nonce = key.encryptor() if key is not None else (None, "")
    nonces = [nonce] if nonce else []
    chunks, size, ended = await _gather(intake.source, INLINE_BYTES + 1 if inline else BLOCK_BYTES)
    if ended and inline and size <= INLINE_BYTES:
        data = b"".join(chunks)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        intake.update(data)
        verified = intake.verify(request, etag, algorithm)
        if cipher is not None:
            data = cipher.update(data)
            etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return Received(Content(size, etag, inline=data), verified, nonces)
    writer = cx.objects.blobs.writer()
    loop = asyncio.get_running_loop()
    try:
        md5 = await _pump(writer, intake, chunks, cipher, ended=ended)
        verified = intake.verify(request, md5, algorithm)
        blob = await loop.run_in_executor(None, writer.finish)
    finally:
        writer.abandon()
    return Received(Content(writer.size, writer.md5.hexdigest(), blob=blob), verified, nonces)


async def keep(cx: Context, content: Content, record: Callable[[Context], T]) -> T:
    """Run `record`, which names stored bytes by a row; throw the bytes away when it refuses."""
    try:
        return await cx.transact(record)
    except Exception:  # a cancelled request may have been committed: then the sweep decides
        if content.blob is not None:
            cx.objects.blobs.remove(content.blob)
        raise


def _intake(cx: Context, request: dict[str, Any], algorithm: str | None, *, always: bool) -> _Intake:
    requested = checksums.requested(cx.headers, request)
    name = requested.algorithm if requested is not None else algorithm
    digest = checksums.maker(name)() if name is not None else None
    intake = _Intake(_source(request.get("Body", b"")), requested, digest)
    if always and algorithm is not None and name != algorithm:
        intake.second, intake.second_digest = algorithm, checksums.maker(algorithm)()
    length = cx.headers.get("content-length", "")
    if chunked.is_chunked(cx.headers):
        length = cx.headers.get("x-amz-decoded-content-length", "")
        declared = int(length) if length.isdigit() else None
        intake.source = chunked.decode(intake.source, declared, intake.trailers)
    if length.isdigit() and int(length) > MOST_BYTES:
        raise failures.entity_too_large(int(length), MOST_BYTES)
    return intake


async def _source(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        if body:
            yield body
        return
    async for chunk in body:
        yield chunk


async def _gather(source: AsyncIterator[bytes], most: int) -> tuple[list[bytes], int, bool]:
    """Return chunks of at least `most` bytes together (fewer at the end), their size, and whether the body ended."""
    chunks, size = [], 0
    async for chunk in source:
        chunks.append(chunk)
        size += len(chunk)
        if size >= most:
            return chunks, size, False
    return chunks, size, True


async def _pump(
    writer: BlobWriter, intake: _Intake, chunks: list[bytes], cipher: CipherContext | None, *, ended: bool
) -> str:
    """Write one block, and hash it, in two threads while the next one arrives; give the MD5 of what came."""
    loop = asyncio.get_running_loop()
    also = intake.update if intake.digest is not None else None
    store, md5 = writer.append, writer.md5
    if cipher is not None:
        md5 = hashlib.md5(usedforsecurity=False)

        def store(chunk: bytes) -> None:
            writer.write(cipher.update(chunk))

    while chunks:
        working = [
            loop.run_in_executor(None, _each, chunks, store, also),
            loop.run_in_executor(None, _each, chunks, md5.update, None),  # costs more than all the rest
        ]
        chunks = []
        try:
            if not ended:
                chunks, _, ended = await _gather(intake.source, BLOCK_BYTES)
        finally:
            await asyncio.wait(working)  # no thread may touch the file once it is given up
        for work in working:
            work.result()
        if writer.size > MOST_BYTES:
            raise failures.entity_too_large(writer.size, MOST_BYTES)
    return str(md5.hexdigest())


def _each(chunks: list[bytes], first: Callable[[bytes], object], second: Callable[[bytes], object] | None) -> None:
    for chunk in chunks:
        first(chunk)
        if second is not None:
            second(chunk)
