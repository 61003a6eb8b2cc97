"""IAM roles, durable, with a SageMaker execution role seeded in every account. The rest of IAM is moto's, in memory.

Roles are what SageMaker's clients insist on (get_execution_role, RoleArn checks), so they must outlive the server.
Policies are kept and shown, not evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from sqlalchemy import Column, Double, LargeBinary, Table, Text, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from backends.core import arn as arns
from backends.core import errors, logstore
from backends.core.keys import SEEDED_ROLE
from backends.core.operation import operation
from backends.core.tables import METADATA

if TYPE_CHECKING:
    from backends.core.context import Context

FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
MAX_ITEMS = 100

iam_roles = Table(
    "iam_roles",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created", Double, nullable=False),
    # Empty once the seeded role was deleted: it must not come back.
    Column("document", LargeBinary, nullable=False),
)


@operation("CreateRole", service="iam")
def create_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a role. EntityAlreadyExists (409) for a taken name, MalformedPolicyDocument for a trust that is not JSON."""
    name = request["RoleName"]
    if _find(cx, name) is not None:
        raise errors.AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", status=409)
    _check_policy(request["AssumeRolePolicyDocument"])
    role = _new(cx, name, request.get("Path", "/"), request["AssumeRolePolicyDocument"])
    for member in ("Description", "MaxSessionDuration", "Tags"):
        if member in request:
            role[member] = request[member]
    _write(cx, role)
    return {"Role": _shown(role)}


@operation("GetRole", service="iam", reads=False)
def get_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a role. NoSuchEntity (404) when there is none."""
    return {"Role": _shown(_get(cx, request["RoleName"]))}


@operation("ListRoles", service="iam", reads=False)
def list_roles(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the account's roles by name, in pages."""
    _seed(cx)
    query = select(iam_roles.c.document).where(iam_roles.c.account == cx.account, iam_roles.c.document != b"")
    if "Marker" in request:
        query = query.where(iam_roles.c.name > request["Marker"])
    roles = [orjson.loads(row.document) for row in cx.db.execute(query.order_by(iam_roles.c.name))]
    roles = [role for role in roles if role["Path"].startswith(request.get("PathPrefix", "/"))]
    size = request.get("MaxItems", MAX_ITEMS)
    answer: dict[str, Any] = {"Roles": [_shown(role) for role in roles[:size]], "IsTruncated": len(roles) > size}
    if len(roles) > size:
        answer["Marker"] = roles[size - 1]["RoleName"]
    return answer


@operation("DeleteRole", service="iam")
def delete_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a role. DeleteConflict (409) while policies hang on it."""
    role = _get(cx, request["RoleName"])
    if role["RoleName"] != SEEDED_ROLE and (role["attached"] or role["inline"]):
        what = "detach all policies" if role["attached"] else "delete policies"
        raise errors.AwsError("DeleteConflict", f"Cannot delete entity, must {what} first.", status=409)
    mine = (iam_roles.c.account == cx.account) & (iam_roles.c.name == role["RoleName"])
    if role["RoleName"] == SEEDED_ROLE:
        cx.db.execute(update(iam_roles).where(mine), {"document": b""})
    else:
        cx.db.execute(delete(iam_roles).where(mine))
    return {}


@operation("UpdateAssumeRolePolicy", service="iam")
def update_assume_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a role's trust policy."""
    _check_policy(request["PolicyDocument"])
    _write(cx, _get(cx, request["RoleName"]) | {"trust": request["PolicyDocument"]})
    return {}


@operation("TagRole", service="iam")
def tag_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace a role's tags."""
    role = _get(cx, request["RoleName"])
    tags = {tag["Key"]: tag for tag in (*role.get("Tags", ()), *request["Tags"])}
    _write(cx, role | {"Tags": list(tags.values())})
    return {}


@operation("AttachRolePolicy", service="iam")
def attach_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Attach a policy by ARN; AWS's managed policies are known."""
    role = _get(cx, request["RoleName"])
    arn = arns.parse(request["PolicyArn"])
    if arn is None or arn.service != "iam" or not arn.resource.startswith("policy/"):
        raise errors.AwsError("InvalidInput", f"ARN {request['PolicyArn']} is not valid.")
    _write(cx, role | {"attached": sorted({*role["attached"], request["PolicyArn"]})})
    return {}


@operation("DetachRolePolicy", service="iam")
def detach_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Detach a policy. NoSuchEntity when it is not attached."""
    role = _get(cx, request["RoleName"])
    if request["PolicyArn"] not in role["attached"]:
        raise _missing(f"Policy {request['PolicyArn']} was not found.")
    _write(cx, role | {"attached": [arn for arn in role["attached"] if arn != request["PolicyArn"]]})
    return {}


@operation("ListAttachedRolePolicies", service="iam", reads=False)
def list_attached_role_policies(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the policies attached to a role."""
    attached = _get(cx, request["RoleName"])["attached"]
    policies = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in attached]
    return {"AttachedPolicies": policies, "IsTruncated": False}


@operation("PutRolePolicy", service="iam")
def put_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add or replace an inline policy."""
    _check_policy(request["PolicyDocument"])
    role = _get(cx, request["RoleName"])
    _write(cx, role | {"inline": {**role["inline"], request["PolicyName"]: request["PolicyDocument"]}})
    return {}


@operation("GetRolePolicy", service="iam", reads=False)
def get_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Show an inline policy."""
    role, name = _get(cx, request["RoleName"]), request["PolicyName"]
    if name not in role["inline"]:
        raise _missing(f"The role policy with name {name} cannot be found.")
    return {"RoleName": role["RoleName"], "PolicyName": name, "PolicyDocument": quote(role["inline"][name], safe="")}


@operation("ListRolePolicies", service="iam", reads=False)
def list_role_policies(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the names of a role's inline policies."""
    return {"PolicyNames": sorted(_get(cx, request["RoleName"])["inline"]), "IsTruncated": False}


@operation("DeleteRolePolicy", service="iam")
def delete_role_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete an inline policy."""
    role, name = _get(cx, request["RoleName"]), request["PolicyName"]
    if name not in role["inline"]:
        raise _missing(f"The role policy with name {name} cannot be found.")
    _write(cx, role | {"inline": {key: value for key, value in role["inline"].items() if key != name}})
    return {}


def _new(cx: Context, name: str, path: str, trust: str) -> dict[str, Any]:
    return {
        "RoleName": name,
        "Path": path,
        "RoleId": "AROA" + name.upper().encode().hex().upper()[:17].ljust(17, "0"),
        "Arn": str(arns.Arn("aws", "iam", "", cx.account, f"role{path}{name}")),
        "CreateDate": cx.clock.now(),
        "MaxSessionDuration": 3600,
        "trust": trust,
        "attached": [],
        "inline": {},
    }


def _shown(role: dict[str, Any]) -> dict[str, Any]:
    """Give a role as IAM shows it: policies percent-encoded (RFC 3986), our own keys left out."""
    kept = {key: value for key, value in role.items() if key not in {"trust", "attached", "inline"}}
    return kept | {"AssumeRolePolicyDocument": quote(role["trust"], safe="")}


def _seed(cx: Context) -> None:
    """Give the account its execution role, once."""
    mine = (iam_roles.c.account == cx.account) & (iam_roles.c.name == SEEDED_ROLE)
    if cx.db.execute(select(iam_roles.c.name).where(mine)).first() is None:
        role = _new(cx, SEEDED_ROLE, "/", orjson.dumps(TRUST).decode())
        logstore.insert_absent(cx, iam_roles, _row(cx, role | {"attached": [FULL_ACCESS]}))


def _find(cx: Context, name: str) -> dict[str, Any] | None:
    _seed(cx)
    mine = (iam_roles.c.account == cx.account) & (iam_roles.c.name == name) & (iam_roles.c.document != b"")
    found: bytes | None = cx.db.execute(select(iam_roles.c.document).where(mine)).scalar()
    return dict(orjson.loads(found)) if found is not None else None


def _get(cx: Context, name: str) -> dict[str, Any]:
    role = _find(cx, name)
    if role is None:
        raise _missing(f"The role with name {name} cannot be found.")
    return role


def _missing(message: str) -> errors.AwsError:
    return errors.AwsError("NoSuchEntity", message, status=404)


def _write(cx: Context, role: dict[str, Any]) -> None:
    """Keep a role, new or changed; the last writer wins, also over one that made the same role meanwhile."""
    row = _row(cx, role)
    dialect = postgresql if cx.db.dialect.name == "postgresql" else sqlite
    changed = {name: row[name] for name in ("created", "document")}
    added = dialect.insert(iam_roles).values(row)
    cx.db.execute(added.on_conflict_do_update(index_elements=["account", "name"], set_=changed))


def _row(cx: Context, role: dict[str, Any]) -> dict[str, Any]:
    name, created = role["RoleName"], role["CreateDate"]
    return {"account": cx.account, "name": name, "created": created, "document": orjson.dumps(role)}


def _check_policy(text: str) -> None:
    try:
        orjson.loads(text)
    except ValueError as error:
        raise errors.AwsError("MalformedPolicyDocument", "This policy contains invalid Json") from error
