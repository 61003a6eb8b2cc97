"""Images: manifests by digest, found by tags too. What AWS's API and Docker's registry do alike."""

from __future__ import annotations

import fnmatch
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from backends.aws.ecr.tables import ecr_contents, ecr_images, ecr_layers, ecr_tags
from backends.core.dialects import insert_absent, insert_or_update
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from sqlalchemy import Row as SqlRow

    from backends.aws.ecr.manifests import Manifest
    from backends.aws.ecr.scope import Repository
    from backends.core.context import Context
    from backends.core.rows import Row


class MissingPartsError(AwsError):
    """A manifest was pushed before what it refers to; `missing` are the digests."""

    def __init__(self, code: str, message: str, missing: list[str]) -> None:
        super().__init__(code, message)
        self.missing = missing


PULL_TIME_S = 86_400.0
"""ECR writes the time of an image's last pull at most once a day (shape ImageDetail)."""


def by_digest(cx: Context, repository: Repository, digest: str) -> SqlRow[Any] | None:
    """Find an image by its digest."""
    is_image = repository.rows(ecr_images), ecr_images.c.digest == digest
    return cx.db.execute(select(ecr_images).where(*is_image)).first()


def digest_of_tag(cx: Context, repository: Repository, tag: str) -> str | None:
    """Return the digest that a tag stands for."""
    digest: str | None = cx.db.execute(
        select(ecr_tags.c.digest).where(repository.rows(ecr_tags), ecr_tags.c.tag == tag)
    ).scalar()
    return digest


def find(cx: Context, repository: Repository, reference: str) -> SqlRow[Any] | None:
    """Find an image by what stands behind a colon or an @: a tag, or a digest."""
    digest = reference if ":" in reference else digest_of_tag(cx, repository, reference)
    return None if digest is None else by_digest(cx, repository, digest)


def tags_of(cx: Context, repository: Repository, digest: str = "") -> dict[str, list[str]]:
    """Return the tags of each digest, or of one, in their order."""
    query = select(ecr_tags.c.digest, ecr_tags.c.tag).where(repository.rows(ecr_tags)).order_by(ecr_tags.c.tag)
    if digest:
        query = query.where(ecr_tags.c.digest == digest)
    tags: dict[str, list[str]] = {}
    for of_digest, tag in cx.db.execute(query):
        tags.setdefault(of_digest, []).append(tag)
    return tags


def put(cx: Context, repository: Repository, about: Row, manifest: Manifest, tag: str = "") -> bool:
    """Keep a manifest, under a tag if one is given; tell whether anything has changed. Everything it needs must be there."""
    current = digest_of_tag(cx, repository, tag) if tag else None
    if current not in {None, manifest.digest} and is_immutable(about.document, tag):
        raise AwsError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be overwritten "
            "because the tag is immutable.",
        )
    known = by_digest(cx, repository, manifest.digest)
    if known is None:
        _check_parts(cx, repository, manifest)
        _insert(cx, repository, manifest)
    if tag and current != manifest.digest:
        insert_or_update(cx.db, ecr_tags, {**repository.key, "tag": tag}, {"digest": manifest.digest}, {})
    return known is None or bool(tag and current != manifest.digest)


def is_immutable(body: dict[str, Any], tag: str) -> bool:
    """Return whether a repository lets a tag stand for one image only."""
    kind, _, exclusion = body["imageTagMutability"].partition("_WITH_")
    filters = body.get("imageTagMutabilityExclusionFilters", ())
    excluded = bool(exclusion) and any(fnmatch.fnmatchcase(tag, rule["filter"]) for rule in filters)
    return bool((kind == "IMMUTABLE") != excluded)


def _check_parts(cx: Context, repository: Repository, manifest: Manifest) -> None:
    table = ecr_images if manifest.is_list else ecr_layers
    wanted = table.c.digest.in_(manifest.parts)
    there = set(cx.db.execute(select(table.c.digest).where(repository.rows(table), wanted)).scalars())
    missing = [part for part in manifest.parts if part not in there]
    if not missing:
        return
    what, code = (
        ("Images", "ReferencedImagesNotFoundException") if manifest.is_list else ("Layers", "LayersNotFoundException")
    )
    raise MissingPartsError(
        code,
        f"{what} with digests '{missing}' required for pushing image into {repository.words} do not exist",
        missing,
    )


def _insert(cx: Context, repository: Repository, manifest: Manifest) -> None:
    size = manifest.size
    if manifest.is_list:  # the largest of its images (shape ImageDetail)
        is_part = repository.rows(ecr_images), ecr_images.c.digest.in_(manifest.parts)
        size = cx.db.execute(select(func.max(ecr_images.c.size)).where(*is_part)).scalar() or 0
    row = {
        **repository.key, "digest": manifest.digest, "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type, "subject": manifest.subject, "size": size, "pushed": cx.clock.now(),
        "manifest": manifest.content,
    }  # fmt: skip
    insert_absent(cx.db, ecr_images, [row])
    insert_absent(
        cx.db, ecr_contents, [{**repository.key, "digest": manifest.digest, "part": part} for part in manifest.parts]
    )


def pulled(cx: Context, repository: Repository, digest: str) -> None:
    """Write down that an image was pulled."""
    is_image = repository.rows(ecr_images), ecr_images.c.digest == digest
    cx.db.execute(update(ecr_images).where(*is_image).values(pulled=cx.clock.now()))


def holders(cx: Context, repository: Repository, digest: str) -> list[str]:
    """Return the digests of the manifest lists that an image stands in."""
    holds_image = repository.rows(ecr_contents), ecr_contents.c.part == digest
    return list(cx.db.execute(select(ecr_contents.c.digest).where(*holds_image)).scalars())


def remove(cx: Context, repository: Repository, digest: str) -> None:
    """Remove an image and its tags. Layers that no other image has go an hour later (sweep.py)."""
    is_image = repository.rows(ecr_contents), ecr_contents.c.digest == digest
    parts = select(ecr_contents.c.part).where(*is_image)
    freed = repository.rows(ecr_layers), ecr_layers.c.digest.in_(parts)
    cx.db.execute(update(ecr_layers).where(*freed).values(since=time.time()))
    cx.db.execute(delete(ecr_contents).where(*is_image))
    cx.db.execute(delete(ecr_tags).where(repository.rows(ecr_tags), ecr_tags.c.digest == digest))
    cx.db.execute(delete(ecr_images).where(repository.rows(ecr_images), ecr_images.c.digest == digest))


def remove_tag(cx: Context, repository: Repository, tag: str) -> None:
    """Take a tag away; the image stays."""
    cx.db.execute(delete(ecr_tags).where(repository.rows(ecr_tags), ecr_tags.c.tag == tag))


def referrers(cx: Context, repository: Repository, subject: str) -> list[SqlRow[Any]]:
    """Return the images that say that they are about another one (signatures, bills of materials)."""
    is_referrer = repository.rows(ecr_images), ecr_images.c.subject == subject
    return list(cx.db.execute(select(ecr_images).where(*is_referrer).order_by(ecr_images.c.digest)))
