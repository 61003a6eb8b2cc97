"""Roles and their trust. A role that a request names by its ARN is made at that moment where LOCALMAKER_ROLES=any."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.iam import managed, principals, store
from backends.aws.iam.store import ROLE
from backends.core import arn as arns
from backends.core import errors
from backends.core.keys import SEEDED_ROLE
from backends.core.operation import operation
from backends.core.policy import Decision, Kind, Question, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

SESSION_S = 3600
TRUST_SIZE = 2048
MADE_BY_USE = "Made by LocalMaker when a request first named it (LOCALMAKER_ROLES=any)"
LINKED = "aws-service-role"


@operation("CreateRole", service="iam")
def create_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a role. EntityAlreadyExists (409) for a taken name, MalformedPolicyDocument for a trust that IAM refuses."""
    _check_trust(request["AssumeRolePolicyDocument"])
    more = {
        "MaxSessionDuration": request.get("MaxSessionDuration", SESSION_S),
        "trust": request["AssumeRolePolicyDocument"],
    }
    if "Description" in request:
        more["Description"] = request["Description"]
    if "PermissionsBoundary" in request:
        more |= boundary(cx, request["PermissionsBoundary"])
    role = store.new(cx, ROLE, request, **more)
    store.write(cx, ROLE, role)
    return {"Role": shown(role)}


@operation("GetRole", service="iam", reads=False)
def get_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a role. NoSuchEntity (404) when there is none."""
    role = store.get(cx, ROLE, request["RoleName"])
    return {"Role": shown(role, RoleLastUsed=role.get("used", {}))}


@operation("ListRoles", service="iam", reads=False)
def list_roles(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the account's roles by name, in pages; without tags, as AWS lists them."""
    roles = store.all_of(cx, ROLE, request.get("PathPrefix", "/"))
    return store.page(request, "Roles", [store.untagged(shown(role)) for role in roles])


@operation("DeleteRole", service="iam")
def delete_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a role. DeleteConflict (409) while policies or instance profiles hang on it."""
    role = store.get(cx, ROLE, request["RoleName"])
    name = role["RoleName"]
    if role["Path"].startswith(f"/{LINKED}/"):
        message = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
        raise errors.AwsError("UnmodifiableEntity", message)
    ours = role.get("ours") or name == SEEDED_ROLE  # nobody attached those
    if role["inline"] and not ours:
        raise store.conflict("delete policies")
    if role["attached"] and not ours:
        raise store.conflict("detach all policies")
    if any(name in profile["roles"] for profile in store.all_of(cx, store.PROFILE)):
        raise store.conflict("remove roles from instance profile")
    store.remove(cx, ROLE, name)
    return {}


@operation("UpdateRole", service="iam")
def update_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a role's description and longest session."""
    role = store.get(cx, ROLE, request["RoleName"])
    if "MaxSessionDuration" in request:
        role["MaxSessionDuration"] = request["MaxSessionDuration"]
    role["Description"] = request.get("Description", role.get("Description", ""))
    store.write(cx, ROLE, role)
    return {}


@operation("UpdateRoleDescription", service="iam")
def update_role_description(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a role's description."""
    role = store.get(cx, ROLE, request["RoleName"]) | {"Description": request["Description"]}
    store.write(cx, ROLE, role)
    return {"Role": shown(role)}


@operation("UpdateAssumeRolePolicy", service="iam")
def update_assume_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a role's trust policy."""
    _check_trust(request["PolicyDocument"])
    role = store.get(cx, ROLE, request["RoleName"])
    store.write(cx, ROLE, role | {"trust": request["PolicyDocument"]})
    return {}


@operation("CreateServiceLinkedRole", service="iam")
def create_service_linked_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make the role of a service under /aws-service-role/. InvalidInput (400) when it is there."""
    service = request["AWSServiceName"]
    words = service.removesuffix(".amazonaws.com").replace(".", "-").split("-")
    suffix = f"_{request['CustomSuffix']}" if "CustomSuffix" in request else ""
    name = "AWSServiceRoleFor" + "".join(word.capitalize() for word in words) + suffix
    if store.find(cx, ROLE, name) is not None:
        message = f"Service role name {name} has been taken in this account, please try a different suffix."
        raise errors.AwsError("InvalidInput", message)
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = orjson.dumps({"Version": "2012-10-17", "Statement": [allowed]}).decode()
    given = {"RoleName": name, "Path": f"/{LINKED}/{service}/"}
    more = {"Description": request["Description"]} if "Description" in request else {}
    role = store.new(cx, ROLE, given, MaxSessionDuration=3600, trust=trust, **more)
    store.write(cx, ROLE, role)
    return {"Role": shown(role)}


@operation("DeleteServiceLinkedRole", service="iam")
def delete_service_linked_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a service's role, at once: no service here holds on to one. NoSuchEntity (404) for another role."""
    role = store.get(cx, ROLE, request["RoleName"])
    if not role["Path"].startswith(f"/{LINKED}/"):
        raise store.missing(f"The service-linked role with name {role['RoleName']} cannot be found.")
    store.remove(cx, ROLE, role["RoleName"])
    return {"DeletionTaskId": f"task{role['Path']}{role['RoleName']}/{uuid.uuid4()}"}


@operation("GetServiceLinkedRoleDeletionStatus", service="iam", reads=True)
def get_service_linked_role_deletion_status(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return how a deletion went: it is over when its answer is given."""
    del cx
    if not request["DeletionTaskId"].startswith(f"task/{LINKED}/"):
        raise store.missing(f"Deletion task {request['DeletionTaskId']} cannot be found.")
    return {"Status": "SUCCEEDED"}


def shown(role: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a role as IAM shows it."""
    return store.shown(role, AssumeRolePolicyDocument=store.encoded(role["trust"]), **more)


def boundary(cx: Context, arn: str) -> dict[str, Any]:
    """Return the member that shows a permissions boundary. NoSuchEntity for a policy that is not there."""
    managed.get(cx, arn)
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}}


def _check_trust(text: str) -> None:
    store.check_document(text, Kind.TRUST)
    store.check_size(text, "ACLSizePerRole", TRUST_SIZE)


def ensure_named(cx: Context, arn: str) -> None:
    """Make a role that a request names by its ARN, where the setting lets any pass; never one that was deleted."""
    named = arns.parse(arn)
    if named is None or named.account != cx.account or cx.settings.roles != "any":
        return
    path, _, name = named.resource.removeprefix("role").rpartition("/")
    store.ensure_role(cx, name, f"{path}/", Description=MADE_BY_USE)


def trusts(role: dict[str, Any], service: str, tags: Mapping[str, str] | None = None) -> bool:
    """Return whether a service may assume a role, and open the session with tags where there are any."""
    context = {f"aws:RequestTag/{name}": value for name, value in (tags or {}).items()}
    policy = principals.parsed(role["trust"], Kind.TRUST)
    actions = ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",)
    return all(
        decide([policy], Question(action, role["Arn"], service, context=context)) is Decision.ALLOW
        for action in actions
    )
