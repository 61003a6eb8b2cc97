"""Layers on disk, and the uploads that become layers. Bytes pass in blocks; a layer is never in memory as a whole.

A layer is a file that never changes (`Blobs`: written aside, synced where durability asks for it, renamed) and a row that
names it. An upload is a file that grows and a row that says whose it is: both outlive the server, so that a client can go
on after a restart. Its hash goes along in memory; where it is not there, the file is read again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from backends.aws.ecr.tables import ecr_layers, ecr_uploads
from backends.core.dialects import insert_or_update
from backends.core.errors import AwsError
from backends.core.memory import InMemory
from backends.core.objects.blobs import Blobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterator
    from pathlib import Path

    from sqlalchemy import Row

    from backends.aws.ecr.scope import Repository
    from backends.core.context import Context
    from backends.core.kernel import Kernel

BLOCK_BYTES = 1 << 20


class WrongDigestError(ValueError):
    """The bytes of an upload are not those that its digest is of; `actual` is theirs."""

    def __init__(self, actual: str) -> None:
        super().__init__(actual)
        self.actual = actual


class BusyUploadError(AwsError):
    """Two requests write to one upload at once."""

    def __init__(self, upload: str) -> None:
        super().__init__("InvalidParameterException", f"Another request is writing to the upload with id '{upload}'")


class Layers:
    """The files of one server."""

    def __init__(self, kernel: Kernel) -> None:
        root = kernel.settings.data_dir / "registry"
        self.blobs = Blobs(root, durable=kernel.settings.durability == "power")
        self._uploads = root / "uploads"
        self._uploads.mkdir(exist_ok=True)
        self._hashes: dict[str, tuple[Any, int]] = {}
        self._busy: set[str] = set()

    def upload_path(self, upload: str) -> Path:
        """Return the file of an upload."""
        return self._uploads / upload

    def uploads(self, before: float) -> list[str]:
        """Return the uploads that have files which were last written to before that time (epoch seconds)."""
        return [path.name for path in self._uploads.iterdir() if path.stat().st_mtime < before]

    def size(self, upload: str) -> int:
        """Return how many bytes of an upload have arrived."""
        return self.upload_path(upload).stat().st_size

    def begin(self) -> str:
        """Make the file of a new upload; give its id."""
        upload = str(uuid.uuid4())
        self.upload_path(upload).touch(exist_ok=False)
        self._hashes[upload] = (hashlib.sha256(), 0)
        return upload

    @contextmanager
    def alone(self, upload: str) -> Iterator[None]:
        """Keep other requests from writing to an upload; BusyUploadError when one does already."""
        if upload in self._busy:
            raise BusyUploadError(upload)
        self._busy.add(upload)
        try:
            yield
        finally:
            self._busy.discard(upload)

    async def append(self, upload: str, chunks: AsyncIterable[bytes]) -> int:
        """Append what arrives, in blocks, hashing on the way; give the new size. What has arrived stays if the client goes."""
        waiting: list[bytes] = []
        size = 0
        try:
            async for chunk in chunks:
                waiting.append(chunk)
                size += len(chunk)
                if size >= BLOCK_BYTES:
                    await asyncio.to_thread(self._write, upload, b"".join(waiting))
                    waiting, size = [], 0
        finally:
            if waiting:
                await asyncio.to_thread(self._write, upload, b"".join(waiting))
        return self.size(upload)

    def _write(self, upload: str, block: bytes) -> None:
        running = self._hash(upload)
        with self.upload_path(upload).open("ab", buffering=0) as file:
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
            running.update(block)
            self._hashes[upload] = (running, file.tell())

    def _hash(self, upload: str) -> Any:
        """Return the running hash of an upload; made anew when another server or a crash wrote since."""
        known, hashed = self._hashes.get(upload, (None, -1))
        if known is not None and hashed == self.size(upload):
            return known
        with self.upload_path(upload).open("rb") as file:
            return hashlib.file_digest(file, "sha256")

    def finish(self, upload: str, digest: str) -> tuple[str, int]:
        """Make an upload a blob; give the blob's name and size. WrongDigestError when it holds something else. Blocks."""
        actual = f"sha256:{self._hash(upload).hexdigest()}"
        if actual != digest:
            raise WrongDigestError(actual)
        size = self.size(upload)
        blob = self.blobs.adopt(self.upload_path(upload))
        self._hashes.pop(upload, None)
        return blob, size

    def remove(self, blobs: list[str], uploads: list[str]) -> None:
        """Remove the files of layers and uploads that no row names any more."""
        for blob in blobs:
            self.blobs.remove(blob)
        for upload in uploads:
            self.abandon(upload)

    def abandon(self, upload: str) -> None:
        """Throw an upload's file away."""
        self._hashes.pop(upload, None)
        self.upload_path(upload).unlink(missing_ok=True)


LAYERS = InMemory[Layers]("ecr.layers", Layers)


def files(kernel: Kernel) -> Layers:
    """Return the layers' files; opened once per server."""
    return LAYERS.of(kernel)


def find(cx: Context, repository: Repository, digest: str) -> Row[Any] | None:
    """Find a layer of a repository."""
    is_layer = repository.rows(ecr_layers), ecr_layers.c.digest == digest
    return cx.db.execute(select(ecr_layers).where(*is_layer)).first()


def mount(cx: Context, origin: Repository, target: Repository, digest: str) -> bool:
    """Let a repository have a layer of another one, by sharing its file; False when there is none."""
    row = find(cx, origin, digest)
    if row is None:
        return False
    add(cx, target, digest, row.size, row.blob)
    return True


def add(cx: Context, repository: Repository, digest: str, size: int, blob: str) -> bool:
    """Add a layer to a repository; False when it had it, and then the file that it has stays."""
    key = {**repository.key, "digest": digest}
    insert_or_update(cx.db, ecr_layers, key, {"since": time.time()}, {"size": size, "blob": blob})
    row = find(cx, repository, digest)
    return row is not None and row.blob == blob


async def begin(cx: Context, repository: Repository) -> str:
    """Begin an upload to a repository; give its id."""
    upload = await asyncio.to_thread(files(cx.kernel).begin)
    row = {"id": upload, "account": repository.account, "region": repository.region, "repository": repository.name}
    await cx.transact(lambda inside: inside.db.execute(insert(ecr_uploads), {**row, "started": time.time()}) and None)
    return upload


def upload_of(cx: Context, repository: Repository, upload: str) -> bool:
    """Return whether an upload to this repository has begun and not ended."""
    is_upload = repository.rows(ecr_uploads), ecr_uploads.c.id == upload
    row = cx.db.execute(select(ecr_uploads.c.id).where(*is_upload)).first()
    return row is not None and files(cx.kernel).upload_path(upload).exists()


async def complete(cx: Context, repository: Repository, upload: str, digest: str) -> tuple[int, bool]:
    """Make an upload a layer; give its size, and whether it is new. WrongDigestError leaves the upload as it is."""
    kept = files(cx.kernel)
    blob, size = await asyncio.to_thread(kept.finish, upload, digest)
    try:
        fresh = await cx.transact(lambda inside: _complete(inside, repository, upload, digest, size, blob))
    except BaseException:
        kept.blobs.remove(blob)
        raise
    if not fresh:
        kept.blobs.remove(blob)
    return size, fresh


def _complete(cx: Context, repository: Repository, upload: str, digest: str, size: int, blob: str) -> bool:
    cx.db.execute(delete(ecr_uploads).where(ecr_uploads.c.id == upload))
    return add(cx, repository, digest, size, blob)


async def cancel(cx: Context, upload: str) -> None:
    """End an upload that will not become a layer."""
    await cx.transact(lambda inside: inside.db.execute(delete(ecr_uploads).where(ecr_uploads.c.id == upload)) and None)
    files(cx.kernel).abandon(upload)


def upload_not_found(repository: Repository, upload: str) -> AwsError:
    """Return UploadNotFoundException."""
    return AwsError("UploadNotFoundException", f"The upload with id '{upload}' does not exist for {repository.words}")
