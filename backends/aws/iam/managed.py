"""Managed policies: the customer's, with up to five versions, and AWS's own as moto's package carries them."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from backends.aws.iam import store
from backends.aws.iam.store import OWNERS, POLICY
from backends.core import arn as arns
from backends.core import errors, keys
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

VERSIONS = 5
SIZE = 6144
AWS = "aws"


@cache
def aws_managed() -> dict[str, dict[str, Any]]:
    """Return AWS's managed policies by ARN. Moto's data, some 40 ms to read, so on first use; regenerated there from AWS."""
    from moto.iam import aws_managed_policies

    policies = {}
    for name, given in json.loads(aws_managed_policies.aws_managed_policies_data).items():
        path = given["Path"]
        arn = f"arn:aws:iam::aws:policy{path}{name}"
        created, updated = (datetime.fromisoformat(given[key]).timestamp() for key in ("CreateDate", "UpdateDate"))
        version = given["DefaultVersionId"]
        policies[arn] = {
            "PolicyName": name,
            "PolicyId": keys.unique_id(POLICY.id_prefix, arn),
            "Arn": arn,
            "Path": path,
            "DefaultVersionId": version,
            "IsAttachable": True,
            "CreateDate": created,
            "UpdateDate": updated,
            "versions": [{"VersionId": version, "document": json.dumps(given["Document"]), "CreateDate": updated}],
        }
    return policies


def find(cx: Context, arn: str, *, lock: bool = False) -> dict[str, Any] | None:
    """Read a managed policy by ARN, or None; `lock` it before it is changed. InvalidInput (400) for what is no policy's ARN."""
    named = arns.parse(arn)
    if named is None or named.service != "iam" or not named.resource.startswith("policy/"):
        raise errors.AwsError("InvalidInput", f"ARN {arn} is not valid.")
    if named.account == AWS:
        return aws_managed().get(str(named._replace(partition="aws")))
    policy = store.peek(cx, POLICY, named.resource.rpartition("/")[2], lock=lock)
    return policy if policy is not None and policy["Arn"] == arn else None


def get(cx: Context, arn: str, *, lock: bool = False) -> dict[str, Any]:
    """Read a managed policy; NoSuchEntity (404) when there is none."""
    policy = find(cx, arn, lock=lock)
    if policy is None:
        raise store.missing(f"Policy {arn} was not found.")
    return policy


def document(policy: dict[str, Any]) -> str:
    """Return the text of a policy's default version."""
    return str(version_of(policy, policy["DefaultVersionId"])["document"])


def version_of(policy: dict[str, Any], version: str) -> dict[str, Any]:
    """Find a version; NoSuchEntity (404) when there is none."""
    for entry in policy["versions"]:
        if entry["VersionId"] == version:
            return dict(entry)
    raise store.missing(f"Policy {policy['Arn']} version {version} does not exist or is not attachable.")


def users_of(cx: Context, arn: str, *, boundary: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Return the roles, users and groups that a policy is attached to (or whose boundary it is), by their noun."""

    def uses(entity: dict[str, Any]) -> bool:
        if boundary:
            return bool(entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") == arn)
        return arn in entity["attached"]

    return {kind.noun: [e for e in store.all_of(cx, kind) if uses(e)] for kind in OWNERS}


def shown(cx: Context, policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy as IAM shows it, with what uses it counted now."""
    counts = (sum(map(len, users_of(cx, policy["Arn"], boundary=b).values())) for b in (False, True))
    attached, bounding = counts
    return store.shown(policy, AttachmentCount=attached, PermissionsBoundaryUsageCount=bounding)


@operation("CreatePolicy", service="iam")
def create_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a policy of one version. EntityAlreadyExists (409), MalformedPolicyDocument."""
    store.check_document(request["PolicyDocument"])
    store.check_size(request["PolicyDocument"], "PolicySize", SIZE)
    if store.peek(cx, POLICY, request["PolicyName"]) is not None:
        message = f"A policy called {request['PolicyName']} already exists. Duplicate names are not allowed."
        raise errors.AwsError("EntityAlreadyExists", message, status=409)
    policy = store.new(
        cx, POLICY, request, DefaultVersionId="v1", IsAttachable=True, UpdateDate=cx.clock.now(), made=1,
        versions=[{"VersionId": "v1", "document": request["PolicyDocument"], "CreateDate": cx.clock.now()}],
    )  # fmt: skip
    if "Description" in request:
        policy["Description"] = request["Description"]
    store.write(cx, POLICY, policy)
    return {"Policy": shown(cx, policy)}


@operation("GetPolicy", service="iam", reads=False)
def get_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a managed policy, of the account or of AWS."""
    return {"Policy": shown(cx, get(cx, request["PolicyArn"]))}


@operation("ListPolicies", service="iam", reads=False)
def list_policies(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List managed policies: the account's first, then AWS's, each by name."""
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    policies = [] if scope == "AWS" else store.all_of(cx, POLICY, prefix)
    if scope != "Local":
        policies += [policy for policy in aws_managed().values() if policy["Path"].startswith(prefix)]
    attached: dict[str, int] = {}
    bounding: dict[str, int] = {}
    for kind in OWNERS:
        for entity in store.all_of(cx, kind):
            for arn in entity["attached"]:
                attached[arn] = attached.get(arn, 0) + 1
            if "PermissionsBoundary" in entity:
                arn = entity["PermissionsBoundary"]["PermissionsBoundaryArn"]
                bounding[arn] = bounding.get(arn, 0) + 1
    used = bounding if request.get("PolicyUsageFilter") == "PermissionsBoundary" else attached
    if request.get("OnlyAttached") or "PolicyUsageFilter" in request:
        policies = [policy for policy in policies if policy["Arn"] in used]
    listed = [
        store.untagged(
            store.shown(
                policy,
                AttachmentCount=attached.get(policy["Arn"], 0),
                PermissionsBoundaryUsageCount=bounding.get(policy["Arn"], 0),
            )
        )
        for policy in policies
    ]
    return store.page(request, "Policies", listed)


@operation("DeletePolicy", service="iam")
def delete_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a policy. DeleteConflict (409) while it is used or has more than one version."""
    policy = _own(cx, request["PolicyArn"])
    if any(any(users_of(cx, policy["Arn"], boundary=b).values()) for b in (False, True)):
        raise errors.AwsError("DeleteConflict", "Cannot delete a policy attached to entities.", status=409)
    if len(policy["versions"]) > 1:
        message = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
        raise errors.AwsError("DeleteConflict", message, status=409)
    store.remove(cx, POLICY, policy["PolicyName"])
    return {}


@operation("CreatePolicyVersion", service="iam")
def create_policy_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add a version. LimitExceeded (409) past five; the numbers of deleted ones do not come again."""
    store.check_document(request["PolicyDocument"])
    store.check_size(request["PolicyDocument"], "PolicySize", SIZE)
    policy = _own(cx, request["PolicyArn"])
    if len(policy["versions"]) >= VERSIONS:
        message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."
        raise errors.AwsError("LimitExceeded", message, status=409)
    policy["made"] += 1
    version = {
        "VersionId": f"v{policy['made']}",
        "document": request["PolicyDocument"],
        "CreateDate": cx.clock.now(),
    }
    policy["versions"].append(version)
    if request.get("SetAsDefault"):
        policy["DefaultVersionId"] = version["VersionId"]
    store.write(cx, POLICY, policy | {"UpdateDate": cx.clock.now()})
    return {"PolicyVersion": version_shown(policy, version)}


@operation("GetPolicyVersion", service="iam", reads=True)
def get_policy_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Show a version with its document."""
    policy = get(cx, request["PolicyArn"])
    version = version_of(policy, request["VersionId"])
    return {"PolicyVersion": version_shown(policy, version) | {"Document": store.encoded(version["document"])}}


@operation("ListPolicyVersions", service="iam", reads=True)
def list_policy_versions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a policy's versions, the newest first."""
    policy = get(cx, request["PolicyArn"])
    return store.page(request, "Versions", [version_shown(policy, version) for version in reversed(policy["versions"])])


@operation("SetDefaultPolicyVersion", service="iam")
def set_default_policy_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Let another version be the one in force."""
    policy = _own(cx, request["PolicyArn"])
    version_of(policy, request["VersionId"])
    store.write(cx, POLICY, policy | {"DefaultVersionId": request["VersionId"], "UpdateDate": cx.clock.now()})
    return {}


@operation("DeletePolicyVersion", service="iam")
def delete_policy_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a version that is not the default."""
    policy = _own(cx, request["PolicyArn"])
    version_of(policy, request["VersionId"])
    if policy["DefaultVersionId"] == request["VersionId"]:
        raise errors.AwsError("DeleteConflict", "Cannot delete the default version of a policy.", status=409)
    policy["versions"] = [version for version in policy["versions"] if version["VersionId"] != request["VersionId"]]
    store.write(cx, POLICY, policy)
    return {}


def _own(cx: Context, arn: str) -> dict[str, Any]:
    """Read a policy that the account may change."""
    policy = get(cx, arn, lock=True)
    if policy["Arn"].split(":")[4] == AWS:
        who = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
        message = f"User: {who} is not authorized to perform this action on resource: policy {arn}"
        raise errors.AwsError("AccessDenied", message, status=403)
    return policy


def version_shown(policy: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    """Return a version as IAM shows it, without its document."""
    default = version["VersionId"] == policy["DefaultVersionId"]
    return {"VersionId": version["VersionId"], "IsDefaultVersion": default, "CreateDate": version["CreateDate"]}
