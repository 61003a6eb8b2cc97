"""Repositories and the registry they are in. Source: Amazon ECR API reference (2026-11)."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from backends.aws.ecr import configuration, layers, paging, scope, sweep, tokens
from backends.aws.ecr.tables import ecr_contents, ecr_images, ecr_tags
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

SHOWN = (
    "repositoryArn",
    "registryId",
    "repositoryName",
    "createdAt",
    "imageTagMutability",
    "imageTagMutabilityExclusionFilters",
    "imageScanningConfiguration",
    "encryptionConfiguration",
)


@operation("CreateRepository", service="ecr")
def create_repository(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a repository. RepositoryAlreadyExistsException when it is there."""
    scope.check_registry(cx, request)
    name = request["repositoryName"]
    if scope.REPOSITORIES.find(cx, name) is not None:
        raise AwsError(
            "RepositoryAlreadyExistsException",
            f"The repository with name '{name}' already exists in the registry with id '{cx.account}'",
        )
    encryption = request.get("encryptionConfiguration", {"encryptionType": "AES256"})
    if encryption["encryptionType"] != "AES256":
        raise errors.not_implemented(f"ecr: encryption by {encryption['encryptionType']}")
    arn = scope.arn_of(cx, name)
    body = {
        "repositoryArn": arn,
        "registryId": cx.account,
        "repositoryName": name,
        "createdAt": cx.clock.now(),
        "imageScanningConfiguration": {"scanOnPush": False, **request.get("imageScanningConfiguration", {})},
        "encryptionConfiguration": encryption,
        **configuration.mutability(request),
    }
    scope.REPOSITORIES.put(cx, name, arn, body)
    if request.get("tags"):
        configuration.put_tags(cx, arn, request["tags"])
    return {"repository": shown(cx, scope.existing(cx, name)[1])}


@operation("DescribeRepositories", service="ecr")
def describe_repositories(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List repositories by name, in pages, or those that are named."""
    scope.check_registry(cx, request)
    if "repositoryNames" in request:
        return {"repositories": [shown(cx, scope.existing(cx, name)[1]) for name in request["repositoryNames"]]}
    after, size = paging.requested(cx, request)
    documents = scope.REPOSITORIES.page(cx, after=after[0] if after else None, limit=size + 1)
    answer: dict[str, Any] = {"repositories": [shown(cx, document) for document in documents[:size]]}
    if len(documents) > size:
        answer["nextToken"] = paging.token(cx, request, [documents[size - 1].key])
    return answer


@operation("DeleteRepository", service="ecr")
def delete_repository(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a repository; one that has images only by `force`."""
    repository, row = scope.find(cx, request)
    images = select(ecr_images.c.digest).where(repository.rows(ecr_images)).limit(1)
    if not request.get("force") and cx.db.execute(images).first() is not None:
        raise AwsError(
            "RepositoryNotEmptyException",
            f"The repository with name '{repository.name}' in registry with id '{repository.account}' cannot be "
            "deleted because it still contains images",
        )
    for table in (ecr_contents, ecr_tags, ecr_images):
        cx.db.execute(delete(table).where(repository.rows(table)))
    blobs, uploads = sweep.forget(cx.transaction, repository)
    cx.transaction.after_commit.append(partial(layers.files(cx.kernel).remove, blobs, uploads))
    scope.REPOSITORIES.delete(cx, row)
    return {"repository": shown(cx, row)}


def shown(cx: Context, row: Row) -> dict[str, Any]:
    """Return a repository as AWS shows it. Its URI is not kept: it follows the port that the server has today."""
    repository = scope.Repository(row.account, row.region, row.key)
    uri = scope.uri_of(cx.kernel, repository)
    return {**{name: row.document[name] for name in SHOWN if name in row.document}, "repositoryUri": uri}


@operation("DescribeRegistry", service="ecr")
def describe_registry(cx: Context, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Return the caller's registry, which replicates nothing."""
    return {"registryId": cx.account, "replicationConfiguration": {"rules": []}}


@operation("GetAuthorizationToken", service="ecr")
def get_authorization_token(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return user and password for `docker login`; the address is where an engine of this machine finds the registry."""
    token = tokens.Token(cx.caller.access_key, cx.account, cx.clock.now() + tokens.LIFETIME_S)
    password = tokens.write(cx.kernel, token)
    data = {
        "authorizationToken": base64.b64encode(f"{tokens.USER}:{password}".encode()).decode(),
        "expiresAt": token.expires,
        "proxyEndpoint": f"http://{scope.address(cx.kernel)}",
    }
    return {"authorizationData": [data for _ in request.get("registryIds", ["own"])]}
