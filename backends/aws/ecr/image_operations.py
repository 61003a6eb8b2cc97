"""AWS's API of images. Source: Amazon ECR API reference (2026-11); sentences of failures as clients report them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.aws.ecr import images, manifests, paging, scope
from backends.aws.ecr.tables import ecr_images
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from sqlalchemy import Row

    from backends.aws.ecr.scope import Repository
    from backends.core.context import Context

TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
NOT_FOUND = ("ImageNotFound", "Requested image not found")


@operation("ListImages", service="ecr")
def list_images(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List digests with their tags, one entry a tag, by digest and tag."""
    repository, _ = scope.find(cx, request)
    after, size = paging.requested(cx, request)
    tags, wanted = images.tags_of(cx, repository), _wanted(request)
    digests = cx.db.execute(select(ecr_images.c.digest).where(repository.rows(ecr_images))).scalars()
    listed = [[digest, tag] for digest in sorted(digests) for tag in tags.get(digest, [""]) if wanted(bool(tag))]
    page = [entry for entry in listed if entry > after][: size + 1]
    answer: dict[str, Any] = {"imageIds": [_identifier(*entry) for entry in page[:size]]}
    if len(page) > size:
        answer["nextToken"] = paging.token(cx, request, page[size - 1])
    return answer


def _wanted(request: dict[str, Any]) -> Any:
    requested = request.get("filter", {})
    if requested.get("imageStatus", "ACTIVE") not in {"ACTIVE", "ANY"}:
        raise errors.not_implemented("ecr: archived images")
    status = requested.get("tagStatus", "ANY")
    return lambda tagged: status == "ANY" or (status == "TAGGED") == tagged


def _identifier(digest: str, tag: str = "") -> dict[str, str]:
    return {"imageDigest": digest, **({"imageTag": tag} if tag else {})}


@operation("DescribeImages", service="ecr")
def describe_images(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe images: those that are named, or all in pages by digest. ImageNotFoundException."""
    repository, _ = scope.find(cx, request)
    if "imageIds" in request:
        rows = {}
        for identifier in request["imageIds"]:
            row, _ = _look_up(cx, repository, identifier)
            if row is None:
                raise scope.image_not_found(repository, identifier)
            rows[row.digest] = row
        return {"imageDetails": [_detail(cx, repository, row) for row in rows.values()]}
    after, size = paging.requested(cx, request)
    tags, wanted = images.tags_of(cx, repository), _wanted(request)
    every = cx.db.execute(select(ecr_images.c.digest).where(repository.rows(ecr_images))).scalars()
    digests = [digest for digest in sorted(every) if [digest] > after and wanted(digest in tags)]
    described = [images.by_digest(cx, repository, digest) for digest in digests[:size]]
    answer: dict[str, Any] = {"imageDetails": [_detail(cx, repository, row) for row in described if row is not None]}
    if len(digests) > size:
        answer["nextToken"] = paging.token(cx, request, [digests[size - 1]])
    return answer


def _detail(cx: Context, repository: Repository, row: Row[Any]) -> dict[str, Any]:
    detail = {
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageDigest": row.digest,
        "imageSizeInBytes": row.size,
        "imagePushedAt": row.pushed,
        "imageManifestMediaType": row.media_type,
        "imageStatus": "ACTIVE",
    }
    tags = images.tags_of(cx, repository, row.digest).get(row.digest)
    optional = {
        "imageTags": tags,
        "artifactMediaType": row.artifact_type,
        "subjectManifestDigest": row.subject,
        "lastRecordedPullTime": row.pulled,
    }
    return {**detail, **{name: value for name, value in optional.items() if value}}


@operation("BatchGetImage", service="ecr", reads=True)
def batch_get_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return manifests as they were pushed."""
    repository, _ = scope.find(cx, request)
    shown, failures = [], []
    for identifier in request["imageIds"]:
        row, failure = _look_up(cx, repository, identifier)
        if row is None:
            failures.append(_failed(identifier, failure))
            continue
        shown.append(_image(repository, row, identifier.get("imageTag", "")))
    return {"images": shown, "failures": failures}


def _image(repository: Repository, row: Any, tag: str) -> dict[str, Any]:
    return {
        "registryId": repository.account,
        "repositoryName": repository.name,
        "imageId": _identifier(row.digest, tag),
        "imageManifest": bytes(row.manifest).decode(),
        "imageManifestMediaType": row.media_type,
    }


def _look_up(
    cx: Context, repository: Repository, identifier: dict[str, str]
) -> tuple[Row[Any] | None, tuple[str, str]]:
    """Find an image by digest, tag or both; else give the code and sentence of the failure."""
    digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
    if not digest and not tag:
        return None, ("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null")
    if digest and not manifests.DIGEST.fullmatch(digest):
        sentence = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
        return None, ("InvalidImageDigest", sentence)
    if tag:
        stands_for = images.digest_of_tag(cx, repository, tag)
        if stands_for is None:
            return None, NOT_FOUND
        if digest and digest != stands_for:
            return None, ("ImageTagDoesNotMatchDigest", "Tag does not match digest")
        digest = stands_for
    return images.by_digest(cx, repository, str(digest)), NOT_FOUND


def _failed(identifier: dict[str, str], failure: tuple[str, str]) -> dict[str, Any]:
    return {"imageId": identifier, "failureCode": failure[0], "failureReason": failure[1]}


@operation("BatchDeleteImage", service="ecr")
def batch_delete_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove images by digest, and tags; an image goes with its last tag."""
    repository, _ = scope.find(cx, request)
    gone: list[dict[str, str]] = []
    failures = []
    for identifier in request["imageIds"]:
        row, failure = _look_up(cx, repository, identifier)
        if row is None:
            failures.append(_failed(identifier, failure))
            continue
        tag, tags = identifier.get("imageTag", ""), images.tags_of(cx, repository, row.digest).get(row.digest, [])
        if tag and len(tags) > 1:
            images.remove_tag(cx, repository, tag)
            gone.append(_identifier(row.digest, tag))
            continue
        holders = images.holders(cx, repository, row.digest)
        if holders:
            reason = f"Requested image referenced by manifest list: [{', '.join(sorted(holders))}]"
            failures.append(_failed(identifier, ("ImageReferencedByManifestList", reason)))
            continue
        images.remove(cx, repository, row.digest)
        gone += [_identifier(row.digest, label) for label in tags or [""]]
    return {"imageIds": gone, "failures": failures}


@operation("PutImage", service="ecr")
def put_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a manifest whose layers are there, under a tag if one is given. ImageAlreadyExistsException if nothing is new."""
    repository, about = scope.find(cx, request)
    try:
        manifest = manifests.read(request["imageManifest"].encode(), request.get("imageManifestMediaType", ""))
    except manifests.InvalidManifestError as error:
        raise scope.invalid(
            f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax': {error}"
        ) from error
    tag, digest = request.get("imageTag", ""), request.get("imageDigest", manifest.digest)
    if tag and not TAG.fullmatch(tag):
        raise scope.invalid(
            f"Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '{TAG.pattern}''"
        )
    if digest != manifest.digest:
        raise AwsError(
            "ImageDigestDoesNotMatchException",
            f"Image digest '{digest}' does not match the digest of the image manifest, '{manifest.digest}'",
        )
    if not images.put(cx, repository, about, manifest, tag):
        raise AwsError(
            "ImageAlreadyExistsException",
            f"Image with digest '{manifest.digest}' and tag '{tag or 'null'}' already exists in {repository.words}",
        )
    return {"image": _image(repository, images.by_digest(cx, repository, manifest.digest), tag)}


@operation("ListImageReferrers", service="ecr")
def list_image_referrers(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the artifacts about an image."""
    repository, _ = scope.find(cx, request)
    requested = request.get("filter", {})
    if requested.get("artifactStatus", "ACTIVE") not in {"ACTIVE", "ANY"}:
        raise errors.not_implemented("ecr: archived images")
    types = requested.get("artifactTypes", [])
    after, size = paging.requested(cx, {**request, "maxResults": request.get("maxResults", 50)})
    rows = [
        row
        for row in images.referrers(cx, repository, request["subjectId"]["imageDigest"])
        if [row.digest] > after and (not types or row.artifact_type in types)
    ]
    shown = [
        {
            "digest": row.digest,
            "mediaType": row.media_type,
            "artifactType": row.artifact_type,
            "size": len(row.manifest),
            "annotations": {k: v for k, v in manifests.annotations_of(row.manifest).items() if isinstance(v, str)},
            "artifactStatus": "ACTIVE",
        }
        for row in rows[:size]
    ]
    answer: dict[str, Any] = {"referrers": shown}
    if len(rows) > size:
        answer["nextToken"] = paging.token(cx, request, [rows[size - 1].digest])
    return answer
