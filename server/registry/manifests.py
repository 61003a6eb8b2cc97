"""Manifests by tag and digest, the list of tags, and what refers to an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.aws.ecr import images, scope
from backends.aws.ecr import manifests as documents
from backends.aws.ecr.image_operations import TAG
from backends.aws.ecr.tables import ecr_tags
from backends.core.errors import AwsError
from server import body
from server.registry.blobs import check_digest
from server.registry.replies import RegistryError, Visit, reply

if TYPE_CHECKING:
    from sqlalchemy import Row

    from backends.core.context import Context
    from server.types import HttpResponse

MOST_DIGITS = 18
MOST_TAGS = 1000


async def get(visit: Visit, reference: str) -> HttpResponse:
    """Return a manifest as it was pushed."""
    row = await visit.cx.read(lambda cx: _find(cx, visit.repository, reference))
    headers = ("Content-Type", row.media_type), ("Docker-Content-Digest", row.digest), ("ETag", f'"{row.digest}"')
    content = bytes(row.manifest)
    if visit.request.method == "HEAD":
        return reply(200, b"", *headers, ("Content-Length", str(len(content))))
    if row.pulled is None or row.pulled < visit.cx.clock.now() - images.PULL_TIME_S:
        await visit.cx.transact(lambda cx: images.pulled(cx, visit.repository, row.digest))
    return reply(200, content, *headers)


def _find(cx: Context, repository: scope.Repository, reference: str) -> Row[Any]:
    _check(reference)
    row = images.find(cx, repository, reference)
    if row is None:
        name = {"imageDigest" if ":" in reference else "imageTag": reference}
        raise RegistryError(404, "MANIFEST_UNKNOWN", scope.image_not_found(repository, name).message)
    return row


def _check(reference: str) -> None:
    if ":" in reference:
        check_digest(reference)
    elif not TAG.fullmatch(reference):
        raise RegistryError(400, "MANIFEST_INVALID", f"invalid tag: {reference}")


async def put(visit: Visit, reference: str) -> HttpResponse:
    """Keep a manifest under a tag or by its digest: this ends a push, and is answered when it cannot be lost any more."""
    _check(reference)
    exchange = visit.exchange
    content = await body.read_whole(exchange.scope, exchange.receive, documents.MOST_BYTES)
    try:
        manifest = documents.read(content, visit.request.headers.get("content-type", ""))
    except documents.InvalidManifestError as error:
        raise RegistryError(400, "MANIFEST_INVALID", str(error)) from error
    tag = "" if ":" in reference else reference
    if not tag and reference != manifest.digest:
        raise RegistryError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
    try:
        await visit.cx.transact(lambda cx: _put(cx, visit.repository, manifest, tag))
    except images.MissingPartsError as error:
        raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", error.message, detail=error.missing) from error
    headers = [("Location", visit.path(f"manifests/{manifest.digest}")), ("Docker-Content-Digest", manifest.digest)]
    if manifest.subject:
        headers.append(("OCI-Subject", manifest.subject))
    return reply(201, b"", *headers)


def _put(cx: Context, repository: scope.Repository, manifest: documents.Manifest, tag: str) -> None:
    images.put(cx, repository, scope.existing(cx, repository.name)[1], manifest, tag)


async def delete(visit: Visit, reference: str) -> HttpResponse:
    """Remove a tag, or an image by its digest."""
    await visit.cx.transact(lambda cx: _delete(cx, visit.repository, reference))
    return reply(202)


def _delete(cx: Context, repository: scope.Repository, reference: str) -> None:
    row = _find(cx, repository, reference)
    if ":" not in reference:
        images.remove_tag(cx, repository, reference)
        return
    holders = images.holders(cx, repository, row.digest)
    if holders:
        listed = ", ".join(sorted(holders))
        raise AwsError("ImageReferencedByManifestList", f"Requested image referenced by manifest list: [{listed}]")
    images.remove(cx, repository, row.digest)


async def tags(visit: Visit, _rest: str) -> HttpResponse:
    """List tags by name, in pages (`n`, `last`)."""
    requested, last = visit.query("n"), visit.query("last")
    if requested and not (requested.isascii() and requested.isdigit() and len(requested) <= MOST_DIGITS):
        raise RegistryError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    size = min(int(requested), MOST_TAGS) if requested else MOST_TAGS
    rows = visit.repository.rows(ecr_tags), ecr_tags.c.tag > last
    query = select(ecr_tags.c.tag).where(*rows).order_by(ecr_tags.c.tag).limit(size + 1)
    listed = await visit.cx.read(lambda cx: list(cx.db.execute(query).scalars()))
    headers = [("Content-Type", "application/json")]
    if len(listed) > size and size:
        headers.append(("Link", f'<{visit.path("tags/list")}?last={listed[size - 1]}&n={size}>; rel="next"'))
    # The client's own word for the repository, not ours alone: what stands before /tags/list.
    name = visit.request.path.removeprefix("/v2/").removesuffix("/tags/list")
    return reply(200, orjson.dumps({"name": name, "tags": listed[:size]}), *headers)


async def referrers(visit: Visit, digest: str) -> HttpResponse:
    """List the artifacts about an image, as an index."""
    check_digest(digest)
    wanted = visit.query("artifactType")
    rows = await visit.cx.read(lambda cx: images.referrers(cx, visit.repository, digest))
    listed = []
    for row in rows:
        if wanted and row.artifact_type != wanted:
            continue
        entry = {"mediaType": row.media_type, "digest": row.digest, "size": len(row.manifest)}
        annotations = documents.annotations_of(bytes(row.manifest))
        optional = {"artifactType": row.artifact_type, "annotations": annotations}
        listed.append({**entry, **{name: value for name, value in optional.items() if value}})
    content = {"schemaVersion": 2, "mediaType": documents.OCI_INDEX, "manifests": listed}
    headers = [("Content-Type", documents.OCI_INDEX)]
    if wanted:
        headers.append(("OCI-Filters-Applied", "artifactType"))
    return reply(200, orjson.dumps(content), *headers)
