"""Tags of roles, users, policies and instance profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import managed, store
from backends.aws.iam.store import POLICY, PROFILE, ROLE, USER, Kind
from backends.core import errors
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

MOST = 50


def _tagged(cx: Context, request: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    if "PolicyArn" in request:
        return POLICY, managed.get(cx, request["PolicyArn"], lock=True)
    kind = next(kind for kind in (ROLE, USER, PROFILE) if kind.name_member in request)
    return kind, store.get(cx, kind, request[kind.name_member])


@operation("TagRole", "TagUser", "TagPolicy", "TagInstanceProfile", service="iam")
def tag(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace tags, whose keys ignore case. LimitExceeded (409) past fifty."""
    kind, entity = _tagged(cx, request)
    given = {entry["Key"].lower(): entry for entry in request["Tags"]}
    if len(given) != len(request["Tags"]):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise errors.AwsError("InvalidInput", message)
    tags = {entry["Key"].lower(): entry for entry in entity.get("Tags", ())} | given
    if len(tags) > MOST:
        raise store.limit(f"TagsPer{kind.noun}", MOST)
    store.write(cx, kind, entity | {"Tags": list(tags.values())})
    return {}


@operation("UntagRole", "UntagUser", "UntagPolicy", "UntagInstanceProfile", service="iam")
def untag(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags; keys that are not there do not matter."""
    kind, entity = _tagged(cx, request)
    gone = {key.lower() for key in request["TagKeys"]}
    store.write(cx, kind, entity | {"Tags": [t for t in entity.get("Tags", ()) if t["Key"].lower() not in gone]})
    return {}


@operation(
    "ListRoleTags", "ListUserTags", "ListPolicyTags", "ListInstanceProfileTags", service="iam", reads=False
)  # fmt: skip
def list_tags(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List tags by key, in pages."""
    _, entity = _tagged(cx, request)
    return store.page(request, "Tags", sorted(entity.get("Tags", ()), key=lambda entry: entry["Key"]))
