"""STS: who am I, and temporary credentials that carry their account. What is not here is moto's.

Whether somebody may assume a role is not asked here: the role's trust is a resource policy like a bucket's, and the gateway
evaluates both (`server/authorize.py`) where LOCALMAKER_IAM=enforce.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from backends.core import arn as arns
from backends.core import errors, keys
from backends.core.context import DEFAULT_ACCOUNT
from backends.core.keys import SEEDED_ROLE
from backends.core.objects import role_access
from backends.core.operation import operation
from backends.core.policy import PolicyError, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.keys import Key

SESSION = "localmaker"
DEFAULT_DURATION_S = 3600
CHAINED_S = 3600
LONGEST_POLICY = 2048
TOKEN_S = 43_200
"""How long GetSessionToken's and GetFederationToken's credentials last unless they say otherwise."""


@operation("GetCallerIdentity", service="sts")
def get_caller_identity(cx: Context, _request: dict[str, Any]) -> dict[str, Any]:
    """Return who signed: whom an issued key stands for, else a session of the account's seeded role.

    An assumed role and not a user, because the SDK's get_execution_role() insists on one.
    """
    arn = cx.caller.arn or assumed_role_arn(cx.account, SEEDED_ROLE, SESSION)
    return {"UserId": user_id(arn), "Account": cx.account, "Arn": arn}


@operation("AssumeRole", service="sts", reads=False)
def assume_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Issue credentials for a role, which may be another account's and need not be there unless IAM is enforced.

    ValidationError for a session longer than the role's longest, or than an hour when a session asks.
    """
    role = arns.parse(request["RoleArn"])
    if role is None or role.service != "iam" or not role.resource.startswith("role/"):
        raise errors.AwsError("ValidationError", f"{request['RoleArn']} is invalid")
    _refuse_mfa(request, "AssumeRole")
    duration_s = request.get("DurationSeconds", DEFAULT_DURATION_S)
    _check_duration(cx, role, duration_s)
    session = _with_transitive_tags(cx, request, _session(cx, request))
    arn = assumed_role_arn(role.account, role.resource.rpartition("/")[2], request["RoleSessionName"])
    key = keys.issue(cx, role.account, arn, duration_s, session)
    answer = {
        "Credentials": _shown(key),
        "AssumedRoleUser": {"AssumedRoleId": user_id(arn), "Arn": arn},
        "PackedPolicySize": _packed(session),
    }
    if "SourceIdentity" in request:
        answer["SourceIdentity"] = request["SourceIdentity"]
    return answer


@operation("GetSessionToken", service="sts", reads=False)
def get_session_token(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Issue credentials for the user who asks (or the account's default identity), with what he has."""
    _refuse_mfa(request, "GetSessionToken")
    _refuse_sessions(cx, "GetSessionToken")
    arn = cx.caller.arn or assumed_role_arn(cx.account, SEEDED_ROLE, SESSION)
    session = None if cx.caller.arn else {"owner": True}  # what the account's owner passes on stays his
    return {"Credentials": _shown(keys.issue(cx, cx.account, arn, request.get("DurationSeconds", TOKEN_S), session))}


@operation("GetFederationToken", service="sts", reads=False)
def get_federation_token(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Issue credentials for a named federated user: what his maker's policies and the given ones both allow."""
    _refuse_sessions(cx, "GetFederationToken")
    session = _session(cx, request)
    maker = {"user": cx.caller.arn} if cx.caller.arn else {"owned": True}
    session = {"policies": [], **session, **maker}
    arn = str(arns.Arn(arns.partition_of(cx.region), "sts", "", cx.account, f"federated-user/{request['Name']}"))
    key = keys.issue(cx, cx.account, arn, request.get("DurationSeconds", TOKEN_S), session)
    return {
        "Credentials": _shown(key),
        "FederatedUser": {"FederatedUserId": f"{cx.account}:{request['Name']}", "Arn": arn},
        "PackedPolicySize": _packed(session),
    }


@operation("GetAccessKeyInfo", service="sts", reads=True)
def get_access_key_info(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the account of an access key. ValidationError for one that this server did not issue and that names none."""
    wanted = request["AccessKeyId"]
    key = keys.find(cx.transaction, wanted)
    if key is not None:
        return {"Account": key.account}
    if wanted.startswith(keys.PREFIXES):
        raise errors.AwsError("ValidationError", f"Access key {wanted} is not valid.")
    return {"Account": DEFAULT_ACCOUNT}  # where any other key acts; one of twelve digits is too short to be asked about


def _refuse_mfa(request: dict[str, Any], operation_name: str) -> None:
    if "SerialNumber" in request or "TokenCode" in request:
        raise errors.not_implemented(f"{operation_name} with MFA")


def _with_transitive_tags(cx: Context, request: dict[str, Any], session: dict[str, Any]) -> dict[str, Any]:
    """Pass on the tags that the asking session may not shed, beside those that the new one is given."""
    inherited = role_access.chained(cx).get("transitive", {})
    given = session.get("tags", {})
    if twice := [name for name in given if name in inherited]:
        # Unverified: the code and the sentence; the STS guide says only that the request fails.
        message = (
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
            f"the calling session: {twice[0]}"
        )
        raise errors.AwsError("InvalidParameterValue", message)
    kept = {name: given[name] for name in request.get("TransitiveTagKeys", ()) if name in given} | inherited
    return (
        session | ({"tags": given | inherited} if given or inherited else {}) | ({"transitive": kept} if kept else {})
    )


def _refuse_sessions(cx: Context, operation_name: str) -> None:
    """Refuse what only users may call."""
    if cx.caller.arn and ":user/" not in cx.caller.arn:
        raise errors.AwsError("AccessDenied", f"Cannot call {operation_name} with session credentials", status=403)


def _check_duration(cx: Context, role: arns.Arn, duration_s: int) -> None:
    if ":assumed-role/" in cx.caller.arn and duration_s > CHAINED_S:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise errors.AwsError("ValidationError", message)
    longest = DEFAULT_DURATION_S
    if role.account == cx.account:
        try:
            answer = cx.call("GetRole", {"RoleName": role.resource.rpartition("/")[2]}, "iam")
            longest = answer["Role"]["MaxSessionDuration"]
        except errors.AwsError:  # a role that was never created
            longest = max(DEFAULT_DURATION_S, duration_s)
    if duration_s > longest:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise errors.AwsError("ValidationError", message)


def _session(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Read what a session is opened with: policies that limit it, tags. MalformedPolicyDocument, PackedPolicyTooLarge."""
    texts = [request["Policy"]] if "Policy" in request else []
    for entry in request.get("PolicyArns", ()):
        policy = cx.call("GetPolicy", {"PolicyArn": entry["arn"]}, "iam")["Policy"]
        wanted = {"PolicyArn": entry["arn"], "VersionId": policy["DefaultVersionId"]}
        texts.append(unquote(cx.call("GetPolicyVersion", wanted, "iam")["PolicyVersion"]["Document"]))
    if len(request.get("Policy", "")) > LONGEST_POLICY:
        raise errors.AwsError("PackedPolicyTooLarge", "Packed policy consumes more than 100% of allotted space.")
    try:
        for text in texts:
            parse(text)
    except PolicyError as error:
        raise errors.AwsError("MalformedPolicyDocument", str(error)) from error
    session: dict[str, Any] = {"policies": texts} if texts else {}
    if request.get("Tags"):
        session["tags"] = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    if "SourceIdentity" in request:
        session["source_identity"] = request["SourceIdentity"]
    return session


def _packed(session: Mapping[str, Any]) -> int:
    """Return how full the session is, in percent of the plain text's limit (AWS's own packing is not published)."""
    return min(100, 100 * len(orjson.dumps(session)) // LONGEST_POLICY) if session else 0


def _shown(key: Key) -> dict[str, Any]:
    return {
        "AccessKeyId": key.access_key,
        "SecretAccessKey": key.secret_key,
        "SessionToken": key.session_token,
        "Expiration": key.expires,
    }


def assumed_role_arn(account: str, role: str, session: str) -> str:
    """Write the ARN of a role session."""
    return str(arns.Arn("aws", "sts", "", account, f"assumed-role/{role}/{session}"))


def user_id(arn: str) -> str:
    """Return the id of who an ARN stands for, as IAM gives it to the role or user."""
    parts = arn.split(":", 5)
    account, (kind, *names) = parts[4], parts[5].split("/")
    if kind == "assumed-role":
        return f"{keys.unique_id('AROA', f'{account}/{names[0]}')}:{names[1]}"
    if kind == "federated-user":
        return f"{account}:{names[0]}"
    return keys.unique_id("AIDA", f"{account}/{names[-1]}")
