"""What a repository is told: whether tags may move, scanning, its two policies, its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.ecr import lifecycle, scope
from backends.core import arn as arns
from backends.core import policy as policies
from backends.core import tags
from backends.core.errors import AwsError
from backends.core.operation import operation
from backends.core.policy import Kind

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

MUTABILITY = "imageTagMutability"
FILTERS = "imageTagMutabilityExclusionFilters"


def mutability(request: dict[str, Any]) -> dict[str, Any]:
    """Read whether tags may move; exclusions belong to the kinds that say so."""
    kind, filters = request.get(MUTABILITY, "MUTABLE"), request.get(FILTERS, [])
    if kind.endswith("_WITH_EXCLUSION") != bool(filters):
        raise scope.invalid(
            f"Invalid parameter at '{FILTERS}' failed to satisfy constraint: "
            "'exclusion filters belong to the WITH_EXCLUSION settings, which need them'"
        )
    return {MUTABILITY: kind, **({FILTERS: filters} if filters else {})}


def _write(cx: Context, row: Row, changed: dict[str, Any], *gone: str) -> None:
    body = {name: value for name, value in row.document.items() if name not in gone}
    scope.REPOSITORIES.put(cx, row.key, row.arn, body | changed)


def _named(repository: scope.Repository, **more: Any) -> dict[str, Any]:
    return {"registryId": repository.account, "repositoryName": repository.name, **more}


@operation("PutImageTagMutability", service="ecr")
def put_image_tag_mutability(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return whether tags may move from one image to another."""
    repository, row = scope.find(cx, request)
    changed = mutability(request)
    _write(cx, row, changed, FILTERS)
    return _named(repository, **changed)


@operation("PutImageScanningConfiguration", service="ecr")
def put_image_scanning_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep whether images are scanned on push; nothing scans."""
    repository, row = scope.find(cx, request)
    changed = {"imageScanningConfiguration": {"scanOnPush": False, **request["imageScanningConfiguration"]}}
    _write(cx, row, changed)
    return _named(repository, **changed)


@operation("PutLifecyclePolicy", service="ecr")
def put_lifecycle_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return which images expire; a loop removes them, on the account's clock."""
    repository, row = scope.find(cx, request)
    text = request["lifecyclePolicyText"]
    lifecycle.parse(text)
    _write(cx, row, {"lifecyclePolicyText": text, "lastEvaluatedAt": cx.clock.now()})
    return _named(repository, lifecyclePolicyText=text)


@operation("GetLifecyclePolicy", service="ecr")
def get_lifecycle_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the lifecycle policy; LifecyclePolicyNotFoundException."""
    repository, row = scope.find(cx, request)
    return _lifecycle(repository, row)


@operation("DeleteLifecyclePolicy", service="ecr")
def delete_lifecycle_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take the lifecycle policy away."""
    repository, row = scope.find(cx, request)
    answer = _lifecycle(repository, row)
    _write(cx, row, {}, "lifecyclePolicyText", "lastEvaluatedAt")
    return answer


def _lifecycle(repository: scope.Repository, row: Row) -> dict[str, Any]:
    if "lifecyclePolicyText" not in row.document:
        raise AwsError("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist for {repository.words}")
    return _named(repository, **{name: row.document[name] for name in ("lifecyclePolicyText", "lastEvaluatedAt")})


@operation("SetRepositoryPolicy", service="ecr")
def set_repository_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep who may do what with the repository; InvalidParameterException for a document that is no policy."""
    repository, row = scope.find(cx, request)
    text = request["policyText"]
    try:
        _check_policy(text)
    except ValueError as error:
        raise scope.invalid(
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
        ) from error
    _write(cx, row, {"policyText": text})
    return _named(repository, policyText=text)


def _check_policy(text: str) -> None:
    """Raise ValueError for what is no policy. The policy's resource is the repository: its statements name none."""
    document = orjson.loads(text)
    statements = document.get("Statement") if isinstance(document, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, dict):
            statement.setdefault("Resource", "*")
    policies.parse(orjson.dumps(document).decode(), Kind.RESOURCE)


@operation("GetRepositoryPolicy", service="ecr")
def get_repository_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the repository's policy; RepositoryPolicyNotFoundException."""
    repository, row = scope.find(cx, request)
    return _policy(repository, row)


@operation("DeleteRepositoryPolicy", service="ecr")
def delete_repository_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take the repository's policy away."""
    repository, row = scope.find(cx, request)
    answer = _policy(repository, row)
    _write(cx, row, {}, "policyText")
    return answer


def _policy(repository: scope.Repository, row: Row) -> dict[str, Any]:
    if "policyText" not in row.document:
        raise AwsError("RepositoryPolicyNotFoundException", f"Repository policy does not exist for {repository.words}")
    return _named(repository, policyText=row.document["policyText"])


@operation("TagResource", "UntagResource", "ListTagsForResource", service="ecr")
def tag_repository(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a repository, remove some, or return them."""
    return tags.answer(cx, _tagged(cx, request), request, ("tags", "tagKeys"), put_tags)


def put_tags(cx: Context, arn: str, given: list[dict[str, str]]) -> None:
    """Add tags; InvalidTagParameterException, TooManyTagsException."""
    try:
        tags.put(cx, arn, given)
    except AwsError as error:
        many = "may have at most" in error.message
        raise AwsError("TooManyTagsException" if many else "InvalidTagParameterException", error.message) from error


def _tagged(cx: Context, request: dict[str, Any]) -> str:
    arn: str = request["resourceArn"]
    named = arns.parse(arn)
    if named is None or named.service != "ecr" or not named.resource.startswith("repository/"):
        raise scope.invalid(
            f"Invalid parameter at 'resourceArn' failed to satisfy constraint: '{arn}' is no repository"
        )
    scope.check_registry(cx, {"registryId": named.account})
    there = cx.kernel.context(cx.account, named.region, tx=cx.tx)
    scope.existing(there, named.resource.removeprefix("repository/"))
    return arn
