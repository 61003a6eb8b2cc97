"""The account itself: its alias, and how much of IAM it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from backends.aws.iam import store
from backends.aws.iam.store import GROUP, POLICY, PROFILE, ROLE, USER, Kind
from backends.aws.iam.tables import iam_entities
from backends.core import errors
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

ALIAS = Kind("Alias", "alias", "", "")
QUOTAS = {
    "UsersQuota": 5000,
    "GroupsQuota": 300,
    "RolesQuota": 1000,
    "PoliciesQuota": 1500,
    "InstanceProfilesQuota": 1000,
    "AccessKeysPerUserQuota": 2,
    "GroupsPerUserQuota": 10,
    "AttachedPoliciesPerUserQuota": 20,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 20,
    "VersionsPerPolicyQuota": 5,
}
"""What this server enforces, and AWS's defaults for what it does not count."""


@operation("CreateAccountAlias", service="iam")
def create_account_alias(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Name the account; a second name replaces the first. EntityAlreadyExists (409) for another account's."""
    alias = request["AccountAlias"]
    taken = (iam_entities.c.kind == ALIAS.word) & (iam_entities.c.name == alias)
    if cx.db.execute(select(iam_entities.c.account).where(taken, iam_entities.c.account != cx.account)).first():
        message = f"The account alias {alias} already exists."
        raise errors.AwsError("EntityAlreadyExists", message, status=409)
    for old in store.all_of(cx, ALIAS):
        store.remove(cx, ALIAS, old["AliasName"])
    store.write(cx, ALIAS, {"AliasName": alias, "Path": "/", "CreateDate": cx.clock.now()})
    return {}


@operation("ListAccountAliases", service="iam", reads=True)
def list_account_aliases(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the account's one alias."""
    return store.page(request, "AccountAliases", [alias["AliasName"] for alias in store.all_of(cx, ALIAS)])


@operation("DeleteAccountAlias", service="iam")
def delete_account_alias(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take the name away. NoSuchEntity (404) for another."""
    if store.peek(cx, ALIAS, request["AccountAlias"]) is None:
        raise store.missing(f"The account alias {request['AccountAlias']} cannot be found.")
    store.remove(cx, ALIAS, request["AccountAlias"])
    return {}


@operation("GetAccountSummary", service="iam", reads=False)
def get_account_summary(cx: Context, _request: dict[str, Any]) -> dict[str, Any]:
    """Count what the account has, beside the quotas."""
    store.seed(cx)
    is_own = (iam_entities.c.account == cx.account) & (iam_entities.c.document != b"")
    query = select(iam_entities.c.kind, func.count()).where(is_own).group_by(iam_entities.c.kind)
    counts: dict[str, int] = {row[0]: row[1] for row in cx.db.execute(query)}
    nouns = {"Users": USER, "Groups": GROUP, "Roles": ROLE, "Policies": POLICY, "InstanceProfiles": PROFILE}
    return {"SummaryMap": {name: counts.get(kind.word, 0) for name, kind in nouns.items()} | QUOTAS}
