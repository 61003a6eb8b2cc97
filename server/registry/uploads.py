"""Layers in: at once (POST with a digest), in one stream (PATCH, PUT), in chunks, or mounted from another repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from backends.aws.ecr import layers
from backends.core.errors import AwsError
from server import authorize, body
from server.registry import names
from server.registry.blobs import check_digest
from server.registry.replies import RegistryError, Visit, reply

if TYPE_CHECKING:
    from server.types import HttpResponse

CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?")


async def begin(visit: Visit, _rest: str) -> HttpResponse:
    """Begin an upload; end it at once when its digest is given; or share what another repository has."""
    mounted = visit.query("mount")
    if mounted and await _mount(visit, mounted, visit.query("from")):
        return _made(visit, mounted)
    digest = visit.query("digest")
    if digest:
        check_digest(digest)
    upload = await layers.begin(visit.cx, visit.repository)
    if not digest:
        return _progress(visit, upload, 202)
    try:
        with layers.files(visit.cx.kernel).alone(upload):
            return await _finish(visit, upload, digest)
    except BaseException:
        await layers.cancel(visit.cx, upload)
        raise


async def _mount(visit: Visit, digest: str, name: str) -> bool:
    """Share a layer of a repository of the same account that the visitor may read; False where that is not possible."""
    check_digest(digest)
    if not name:
        return False
    try:
        origin = names.repository_of(visit.request.host, name)
        if (origin.account, origin.region) != (visit.repository.account, visit.repository.region):
            return False
        given = {"repositoryName": origin.name}
        await authorize.authorize_as(visit.exchange, "GetDownloadUrlForLayer", given)
    except (AwsError, RegistryError):
        return False
    return await visit.cx.transact(lambda cx: layers.mount(cx, origin, visit.repository, digest))


async def status(visit: Visit, upload: str) -> HttpResponse:
    """Return how much has arrived."""
    await _known(visit, upload)
    return _progress(visit, upload, 204)


async def append(visit: Visit, upload: str) -> HttpResponse:
    """Take a chunk, or all of a layer."""
    await _known(visit, upload)
    with layers.files(visit.cx.kernel).alone(upload):
        await _take(visit, upload)
    return _progress(visit, upload, 202)


async def complete(visit: Visit, upload: str) -> HttpResponse:
    """Take the last chunk, if one comes, and make the upload a layer."""
    digest = visit.query("digest")
    check_digest(digest)
    await _known(visit, upload)
    with layers.files(visit.cx.kernel).alone(upload):
        return await _finish(visit, upload, digest)


async def cancel(visit: Visit, upload: str) -> HttpResponse:
    """Throw an upload away."""
    await _known(visit, upload)
    with layers.files(visit.cx.kernel).alone(upload):
        await layers.cancel(visit.cx, upload)
    return reply(204)


async def _known(visit: Visit, upload: str) -> None:
    if not await visit.cx.read(lambda cx: layers.upload_of(cx, visit.repository, upload)):
        raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")


async def _take(visit: Visit, upload: str) -> None:
    """Append the request's body; a chunk must begin where the last one ended."""
    files, sent = layers.files(visit.cx.kernel), visit.request.headers.get("content-range")
    if sent is not None:
        matched, size = CONTENT_RANGE.fullmatch(sent.strip()), files.size(upload)
        length = visit.request.headers.get("content-length")
        if matched is None or int(matched[1]) != size:
            raise RegistryError(
                416, "BLOB_UPLOAD_INVALID", f"the next chunk begins with byte {size}", _where(visit, upload)
            )
        if length is not None and int(length) != int(matched[2]) - int(matched[1]) + 1:
            raise RegistryError(400, "SIZE_INVALID", "Content-Range and Content-Length do not agree")
    await files.append(upload, body.stream(visit.exchange.receive))


async def _finish(visit: Visit, upload: str, digest: str) -> HttpResponse:
    await _take(visit, upload)
    try:
        await layers.complete(visit.cx, visit.repository, upload, digest)
    except layers.WrongDigestError as error:
        message = "provided digest did not match uploaded content"
        raise RegistryError(400, "DIGEST_INVALID", message, detail={"digest": error.actual}) from error
    return _made(visit, digest)


def _made(visit: Visit, digest: str) -> HttpResponse:
    return reply(201, b"", ("Location", visit.path(f"blobs/{digest}")), ("Docker-Content-Digest", digest))


def _progress(visit: Visit, upload: str, code: int) -> HttpResponse:
    return reply(code, b"", *_where(visit, upload))


def _where(visit: Visit, upload: str) -> tuple[tuple[str, str], ...]:
    last = max(layers.files(visit.cx.kernel).size(upload) - 1, 0)
    location = visit.path(f"blobs/uploads/{upload}")
    return ("Location", location), ("Range", f"0-{last}"), ("Docker-Upload-UUID", upload)
