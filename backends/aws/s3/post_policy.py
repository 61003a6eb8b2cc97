"""The policy of a browser's form upload: what its fields must be, and who signed that. Pure, but for the clock's now.

Source: Amazon S3 API Reference, "Creating a POST Policy" and "POST Object".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import failures
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

FREE = {"policy", "file", "x-amz-signature", "signature", "awsaccesskeyid"}
"""Fields that a policy need not mention, beside those that begin with `x-ignore-`."""
EXPIRATION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
RANGE = "content-length-range"


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy that was read: its end (epoch seconds), its conditions, the bytes that are allowed."""

    expires: float
    conditions: tuple[tuple[str, str, str], ...]
    least: int | None = None
    most: int | None = None


def parse(encoded: str) -> PostPolicy:
    """Read a policy; raise InvalidPolicyDocument for one that is none."""
    try:
        document = json.loads(base64.b64decode(encoded, validate=True))
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON: unexpected token")
    if "expiration" not in document:
        raise _invalid("Policy missing expiration.")
    if not isinstance(document.get("conditions"), list):
        raise _invalid("Policy missing conditions.")
    conditions: list[tuple[str, str, str]] = []
    least = most = None
    for condition in document["conditions"]:
        if isinstance(condition, list) and len(condition) == 3 and str(condition[0]).lower() == RANGE:
            least, most = _range(condition)
        else:
            conditions += _conditions(condition)
    return PostPolicy(_time(document["expiration"]), tuple(conditions), least, most)


def _invalid(what: str) -> AwsError:
    return AwsError("InvalidPolicyDocument", f"Invalid Policy: {what}", 400)


def _time(text: Any) -> float:
    try:
        return datetime.fromisoformat(text if EXPIRATION.fullmatch(text) else "").timestamp()
    except (ValueError, TypeError):
        raise _invalid(f"Invalid 'expiration' value: '{text}'") from None


def _range(condition: list[Any]) -> tuple[int, int]:
    try:
        return int(condition[1]), int(condition[2])
    except (TypeError, ValueError, OverflowError):
        raise _invalid(f"Invalid {RANGE}: {json.dumps(condition)}") from None


def _conditions(given: Any) -> list[tuple[str, str, str]]:
    """Return a condition as (operator, field in lower case, value); an object may hold several equalities."""
    if isinstance(given, dict) and given and all(isinstance(value, str) for value in given.values()):
        return [("eq", name.lower(), value) for name, value in given.items()]
    if isinstance(given, list) and len(given) == 3 and all(isinstance(part, str) for part in given):
        operator, name, value = given
        if operator.lower() in {"eq", "starts-with"} and name.startswith("$"):
            return [(operator.lower(), name[1:].lower(), value)]
    raise _invalid(f"Invalid Condition: {json.dumps(given)}")


def check(policy: PostPolicy, fields: Mapping[str, str], bucket: str, now: float) -> None:
    """Raise AccessDenied unless the fields (lower-case names) are what the policy says, and nothing else."""
    if now > policy.expires:
        raise _denied("Policy expired.")
    given = {**fields, "bucket": bucket}
    for operator, name, wanted in policy.conditions:
        if not _holds(operator, name, wanted, given.get(name, "")):
            spelled = json.dumps([operator, f"${name}", wanted])
            raise _denied(f"Policy Condition failed: {spelled}")
    named = {name for _, name, _ in policy.conditions} | FREE
    extra = sorted(name for name in fields if name not in named and not name.startswith("x-ignore-"))
    if extra:
        raise _denied(f"Extra input fields: {', '.join(extra)}")


def _holds(operator: str, name: str, wanted: str, value: str) -> bool:
    if operator == "eq":
        return value == wanted
    if name == "content-type" and "," in value:  # a list is allowed here, and each of it must begin so
        return all(part.strip().startswith(wanted) for part in value.split(","))
    return value.startswith(wanted)


def _denied(what: str) -> AwsError:
    return failures.access_denied(f"Invalid according to Policy: {what}")


def check_size(policy: PostPolicy | None, size: int, *, ended: bool) -> None:
    """Raise EntityTooLarge, or EntityTooSmall at the end, for a file beyond what the policy allows."""
    if policy is None or policy.most is None or policy.least is None:
        return
    if size > policy.most:
        raise failures.entity_too_large(size, policy.most)
    if ended and size < policy.least:
        members = {"ProposedSize": size, "MinSizeAllowed": policy.least}
        text = "Your proposed upload is smaller than the minimum allowed size"
        raise AwsError("EntityTooSmall", text, 400, members)


def check_signature(fields: Mapping[str, str], secret_key: str) -> None:
    """Verify who signed the policy, by either signature version; raise SignatureDoesNotMatch."""
    policy = fields.get("policy", "").encode()
    if "x-amz-signature" in fields:
        key = f"AWS4{secret_key}".encode()
        _, _, scope = fields.get("x-amz-credential", "").partition("/")
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        made, given = hmac.new(key, policy, hashlib.sha256).hexdigest(), fields["x-amz-signature"]
    else:
        digest = hmac.new(secret_key.encode(), policy, hashlib.sha1).digest()
        made, given = base64.b64encode(digest).decode(), fields.get("signature", "")
    if not hmac.compare_digest(made.encode(), given.encode()):
        text = (
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method."
        )
        raise AwsError("SignatureDoesNotMatch", text, 403, {"StringToSign": fields.get("policy", "")})
