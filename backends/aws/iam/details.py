"""GetAccountAuthorizationDetails: everything at once, for tools that audit or back up an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import attached, managed, profiles, roles, store
from backends.aws.iam.store import GROUP, POLICY, PROFILE, ROLE, USER, Kind
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context

LISTS = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList"}


@operation("GetAccountAuthorizationDetails", service="iam", reads=False)
def get_account_authorization_details(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List users, groups, roles and managed policies with all that they say, in pages; of AWS's policies those in use."""
    wanted = request.get("Filter") or ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"]
    details = [entity for kind in wanted for entity in _details(cx, kind)]
    page = store.page(request, "found", details)
    answer: dict[str, Any] = {name: [] for name in (*LISTS.values(), "Policies")}
    for member, detail in page.pop("found"):
        answer[member].append(detail)
    return answer | page


def _details(cx: Context, wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in (USER, GROUP, ROLE):
        if kind.noun == wanted:
            yield from ((LISTS[wanted], _detail(cx, kind, entity)) for entity in store.all_of(cx, kind))
    if wanted == "LocalManagedPolicy":
        yield from (("Policies", _policy(cx, policy)) for policy in store.all_of(cx, POLICY))
    if wanted == "AWSManagedPolicy":
        used = {arn for kind in store.OWNERS for entity in store.all_of(cx, kind) for arn in entity["attached"]}
        yield from (("Policies", _policy(cx, policy)) for arn, policy in managed.aws_managed().items() if arn in used)


def _detail(cx: Context, kind: Kind, entity: dict[str, Any]) -> dict[str, Any]:
    inline = [
        {"PolicyName": name, "PolicyDocument": store.encoded(text)} for name, text in sorted(entity["inline"].items())
    ]
    more: dict[str, Any] = {
        f"{kind.noun}PolicyList": inline,
        "AttachedManagedPolicies": attached.shown(entity["attached"]),
    }
    if kind is USER:
        more["GroupList"] = entity["groups"]
    if kind is not ROLE:
        return store.shown(entity, **more)
    held = [p for p in store.all_of(cx, PROFILE) if entity["RoleName"] in p["roles"]]
    more["InstanceProfileList"] = [profiles.shown(cx, profile) for profile in held]
    return roles.shown(entity, RoleLastUsed=entity.get("used", {}), **more)


def _policy(cx: Context, policy: dict[str, Any]) -> dict[str, Any]:
    versions = [
        managed.version_shown(policy, version) | {"Document": store.encoded(version["document"])}
        for version in reversed(policy["versions"])
    ]
    return managed.shown(cx, policy) | {"PolicyVersionList": versions}
