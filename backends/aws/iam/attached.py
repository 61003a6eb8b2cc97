"""What policies hang on: attached and inline policies of roles, users and groups, and permissions boundaries.

One function answers for all three kinds: the member `RoleName`, `UserName` or `GroupName` says which is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import managed, roles, store
from backends.aws.iam.store import GROUP, OWNERS, ROLE, USER
from backends.core import errors
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

ATTACHED = {ROLE: 20, USER: 20, GROUP: 10}
"""Most attached policies: AWS starts at 10 and gives 20 for the asking. The v3 SDK attaches 11 to a role that it makes."""

INLINE = {ROLE: 10_240, USER: 2_048, GROUP: 5_120}
"""How many characters all inline policies of one have together, without white space."""


@operation("AttachRolePolicy", "AttachUserPolicy", "AttachGroupPolicy", service="iam")
def attach_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Attach a managed policy; nothing happens when it is. NoSuchEntity (404), LimitExceeded (409)."""
    kind, entity = store.owner(cx, request)
    arn = request["PolicyArn"]
    if managed.find(cx, arn) is None:
        raise store.missing(f"Policy {arn} does not exist or is not attachable.")
    attached = sorted({*entity["attached"], arn})
    if len(attached) > ATTACHED[kind]:
        raise store.limit(f"PoliciesPer{kind.noun}", ATTACHED[kind])
    store.write(cx, kind, entity | {"attached": attached})
    return {}


@operation("DetachRolePolicy", "DetachUserPolicy", "DetachGroupPolicy", service="iam")
def detach_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Detach a policy. NoSuchEntity (404) when it is not attached."""
    kind, entity = store.owner(cx, request)
    if request["PolicyArn"] not in entity["attached"]:
        raise store.missing(f"Policy {request['PolicyArn']} was not found.")
    store.write(cx, kind, entity | {"attached": [arn for arn in entity["attached"] if arn != request["PolicyArn"]]})
    return {}


@operation(
    "ListAttachedRolePolicies", "ListAttachedUserPolicies", "ListAttachedGroupPolicies", service="iam", reads=False
)
def list_attached_policies(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the attached policies under a path, by ARN."""
    _, entity = store.owner(cx, request)
    prefix = request.get("PathPrefix", "/")
    arns = [arn for arn in entity["attached"] if arn.partition(":policy")[2].startswith(prefix)]
    return store.page(request, "AttachedPolicies", shown(arns))


def shown(policies: list[str]) -> list[dict[str, str]]:
    """Return attached policies as IAM shows them."""
    return [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in policies]


@operation("ListEntitiesForPolicy", service="iam", reads=False)
def list_entities_for_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the roles, users and groups that use a policy."""
    policy = managed.get(cx, request["PolicyArn"])
    wanted, prefix = request.get("EntityFilter"), request.get("PathPrefix", "/")
    uses = {"PermissionsPolicy": (False,), "PermissionsBoundary": (True,)}.get(
        request.get("PolicyUsageFilter", ""), (False, True)
    )
    answer: dict[str, Any] = {f"Policy{kind.noun}s": [] for kind in OWNERS}
    for boundary in uses:
        for noun, entities in managed.users_of(cx, policy["Arn"], boundary=boundary).items():
            shown = [
                {f"{noun}Name": e[f"{noun}Name"], f"{noun}Id": e[f"{noun}Id"]}
                for e in entities
                if e["Path"].startswith(prefix) and wanted in {None, noun}
            ]
            answer[f"Policy{noun}s"] += [e for e in shown if e not in answer[f"Policy{noun}s"]]
    return answer | {"IsTruncated": False}


@operation("PutRolePolicy", "PutUserPolicy", "PutGroupPolicy", service="iam")
def put_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace an inline policy. MalformedPolicyDocument, LimitExceeded (409)."""
    store.check_document(request["PolicyDocument"])
    kind, entity = store.owner(cx, request)
    inline = {**entity["inline"], request["PolicyName"]: request["PolicyDocument"]}
    if sum(len("".join(text.split())) for text in inline.values()) > INLINE[kind]:
        message = f"Maximum policy size of {INLINE[kind]} bytes exceeded for {kind.word} {entity[kind.name_member]}"
        raise errors.AwsError("LimitExceeded", message, status=409)
    store.write(cx, kind, entity | {"inline": inline})
    return {}


@operation("GetRolePolicy", "GetUserPolicy", "GetGroupPolicy", service="iam", reads=False)
def get_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Show an inline policy."""
    kind, entity = store.owner(cx, request)
    text = _inline(kind, entity, request["PolicyName"])
    return {
        kind.name_member: entity[kind.name_member],
        "PolicyName": request["PolicyName"],
        "PolicyDocument": store.encoded(text),
    }


@operation("ListRolePolicies", "ListUserPolicies", "ListGroupPolicies", service="iam", reads=False)
def list_policies(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the names of inline policies."""
    _, entity = store.owner(cx, request)
    return store.page(request, "PolicyNames", sorted(entity["inline"]))


@operation("DeleteRolePolicy", "DeleteUserPolicy", "DeleteGroupPolicy", service="iam")
def delete_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an inline policy."""
    kind, entity = store.owner(cx, request)
    _inline(kind, entity, request["PolicyName"])
    kept = {name: text for name, text in entity["inline"].items() if name != request["PolicyName"]}
    store.write(cx, kind, entity | {"inline": kept})
    return {}


def _inline(kind: store.Kind, entity: dict[str, Any], name: str) -> str:
    if name not in entity["inline"]:
        raise store.missing(f"The {kind.word} policy with name {name} cannot be found.")
    return str(entity["inline"][name])


@operation("PutRolePermissionsBoundary", "PutUserPermissionsBoundary", service="iam")
def put_permissions_boundary(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Limit what the policies of a role or user can give."""
    kind, entity = store.owner(cx, request)
    store.write(cx, kind, entity | roles.boundary(cx, request["PermissionsBoundary"]))
    return {}


@operation("DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", service="iam")
def delete_permissions_boundary(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Lift the limit. NoSuchEntity (404) when there is none."""
    kind, entity = store.owner(cx, request)
    if entity.pop("PermissionsBoundary", None) is None:
        raise store.missing(f"The {kind.word} {entity[kind.name_member]} does not have a permissions boundary.")
    store.write(cx, kind, entity)
    return {}
