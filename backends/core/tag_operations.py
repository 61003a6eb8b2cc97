"""AddTags, ListTags, DeleteTags: one set of operations for every kind of resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.core import arn as arns
from backends.core import errors, paging, tags
from backends.core.operation import operation
from backends.core.tables import resources

if TYPE_CHECKING:
    from backends.core.context import Context


@operation("AddTags")
def add_tags(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace tags; answer all of the resource's. ResourceNotFound for an ARN that is not there."""
    arn = _existing(cx, request["ResourceArn"])
    return {"Tags": tags.as_list(tags.put(cx, arn, request["Tags"]))}


@operation("ListTags")
def list_tags(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a resource's tags, in pages by key."""
    arn = _existing(cx, request["ResourceArn"])
    listed = tags.as_list(tags.of(cx, arn))
    binding = b"ListTags" + arn.encode()
    if "NextToken" in request:
        (after,) = paging.read_token(cx, request["NextToken"], binding)
        listed = [tag for tag in listed if tag["Key"] > after]
    size = request.get("MaxResults", tags.MAX_TAGS)
    answer: dict[str, Any] = {"Tags": listed[:size]}
    if len(listed) > size:
        answer["NextToken"] = paging.write_token(cx, [listed[size - 1]["Key"]], binding)
    return answer


@operation("DeleteTags")
def delete_tags(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags; keys that are not there do not matter."""
    tags.remove(cx, _existing(cx, request["ResourceArn"]), request["TagKeys"])
    return {}


def _existing(cx: Context, arn: str) -> str:
    parsed = arns.parse(arn)
    if parsed is None or (parsed.account, parsed.region) != (cx.account, cx.region):
        raise errors.validation(f"Invalid ARN for this account and region: {arn}")
    path, _, name = parsed.resource.rpartition("/")
    for candidate in (arn, str(parsed._replace(resource=f"{path}/{name.lower()}"))):
        query = select(resources.c.arn).where(resources.c.arn == candidate)
        if cx.db.execute(query).first() is not None:
            return candidate
    raise errors.not_found(f"Could not find resource {arn}.")
