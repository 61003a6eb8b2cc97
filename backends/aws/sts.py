"""STS: who am I, and temporary credentials that carry their account. What is not here is moto's."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core import errors, keys
from backends.core.keys import SEEDED_ROLE
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

SESSION = "localmaker"
DEFAULT_DURATION_S = 3600


@operation("GetCallerIdentity", service="sts")
def get_caller_identity(cx: Context, _request: dict[str, Any]) -> dict[str, Any]:
    """Say who signed: the assumed role of an issued key, else a session of the account's seeded role.

    An assumed role and not a user, because the SDK's get_execution_role() insists on one.
    """
    arn = cx.caller.arn or assumed_role_arn(cx.account, SEEDED_ROLE, SESSION)
    return {"UserId": f"{_unique_id('AROA', arn)}:{arn.rpartition('/')[2]}", "Account": cx.account, "Arn": arn}


@operation("AssumeRole", service="sts", reads=False)
def assume_role(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Issue credentials for a role, which may be another account's. Trust policies are not evaluated."""
    role = arns.parse(request["RoleArn"])
    if role is None or role.service != "iam" or not role.resource.startswith("role/"):
        raise errors.AwsError("ValidationError", f"{request['RoleArn']} is invalid")
    arn = assumed_role_arn(role.account, role.resource.rpartition("/")[2], request["RoleSessionName"])
    key = keys.issue(cx, role.account, arn, request.get("DurationSeconds", DEFAULT_DURATION_S))
    return {
        "Credentials": {
            "AccessKeyId": key.access_key,
            "SecretAccessKey": key.secret_key,
            "SessionToken": key.session_token,
            "Expiration": key.expires,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{_unique_id('AROA', arn)}:{request['RoleSessionName']}",
            "Arn": arn,
        },
        "PackedPolicySize": 0,
    }


def assumed_role_arn(account: str, role: str, session: str) -> str:
    """Write the ARN of a role session."""
    return str(arns.Arn("aws", "sts", "", account, f"assumed-role/{role}/{session}"))


def _unique_id(prefix: str, text: str) -> str:
    """Give IAM's kind of id: a prefix and 17 letters or digits, always the same for the same text."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = []
    for _ in range(17):
        number, index = divmod(number, len(alphabet))
        letters.append(alphabet[index])
    return prefix + "".join(letters)
