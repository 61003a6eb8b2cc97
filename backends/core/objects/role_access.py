"""Which objects of S3 a resource's role, or who makes a request, may have: every read and write that a service makes asks here.

`as_role` makes the context in which a job or an endpoint acts; `check` judges it. The bucket must be the account's, or its
policy must allow the role; where LOCALMAKER_IAM evaluates policies, the role's own must allow it too (`soft` only logs).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from backends.core import errors, keys
from backends.core.memory import InMemory
from backends.core.objects import public_access
from backends.core.policy import Decision, Kind, PolicyError, Question, decide, evaluate, parse
from backends.core.policy.principals import role_of
from backends.core.types import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.objects.rows import Bucket
    from backends.core.policy import Policy
    from backends.core.types import Context

Cx = TypeVar("Cx", bound="Context")
log = logging.getLogger("localmaker.iam")
SESSION = "SageMaker"
GRANTS = InMemory[Callable[[Any, str], Any]]("iam.role_grants")
"""What a role of the account has, `(cx, role's name) -> Grants`; stored by IAM's component."""
CALLERS_GRANTS = InMemory[Callable[[Any], Any]]("iam.callers_grants")
"""What a context's caller has, by his key or as the user he was; None for the account's owner. `(cx) -> Grants | None`; stored by IAM's component."""
KEPT = InMemory[dict[tuple[str, str], tuple[float, Any]]]("core.kept_role_grants", lambda _kernel: {})
"""What was asked lately, by account and role's name, with its time."""
KEPT_S = 2.0
"""How long a role's policies are remembered, in real time: AWS, too, takes seconds until a change counts everywhere."""
MOST_KEPT = 1024


def as_role(cx: Cx, role_arn: str, tags: Mapping[str, str] | None = None) -> Cx:
    """Return the context in which a resource acts: that of a session of its role, which is always its own account's.

    `tags`: those of the session, where it is opened with any.
    """
    name = role_arn.rpartition("/")[2]
    arn = f"arn:aws:sts::{cx.account}:assumed-role/{name}/{SESSION}" if name else f"arn:aws:iam::{cx.account}:root"
    return cx.acting_as(Caller("", arn, tuple((tags or {}).items())))


def chained(cx: Context) -> dict[str, Any]:
    """Return the session tags of the request's own session, as the next session of a chain is opened with them."""
    key = keys.find(cx.transaction, cx.caller.access_key) if cx.caller.arn and cx.caller.access_key else None
    opened = orjson.loads(key.session) if key is not None and key.session else {}
    return {name: opened[name] for name in ("tags", "transitive") if opened.get(name)}


def check(cx: Context, bucket: str, action: str, key: str | None = None) -> Bucket:
    """Return the bucket, in a transaction. Raise NoSuchBucket, or AccessDenied unless the context's role may do this."""
    named = cx.objects.bucket(cx, bucket)
    if named is None:
        raise errors.AwsError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", status=404)
    question = _question(cx, named, action, key)
    if _refused_by_bucket(cx, named, question):
        raise _denied(question)
    if cx.settings.iam != "off" and _refused_by_role(cx, named, question):
        if cx.settings.iam == "enforce":
            raise _denied(question)
        log.warning("would deny %s %s on %s", question.principal, question.action, question.resource)
    return named


def may(cx: Context, bucket: str, action: str, key: str | None = None) -> bool:
    """Return whether the bucket is there and the context's role may do this."""
    try:
        check(cx, bucket, action, key)
    except errors.AwsError:
        return False
    return True


def _question(cx: Context, bucket: Bucket, action: str, key: str | None) -> Question:
    principal = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
    context = {
        "aws:CurrentTime": datetime.fromtimestamp(cx.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:SecureTransport": "true",
        **({} if cx.settings.iam == "off" and "Policy" not in bucket.settings else principal_keys(cx)),
        **({"s3:prefix": key or ""} if action == "s3:ListBucket" else {}),
    }
    resource = f"arn:aws:s3:::{bucket.name}" + (f"/{key}" if key is not None and action != "s3:ListBucket" else "")
    return Question(action, resource, principal, cx.account, context)


def principal_keys(cx: Context) -> dict[str, str]:
    """Return the condition keys of who asks: his account, his user's or role's ARN, his tags with those of his session over them."""
    principal = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
    grants = _grants_of_caller(cx, principal)
    tags = [*(grants.tags if grants is not None else {}).items(), *cx.caller.tags]
    return {
        "aws:PrincipalAccount": cx.account,
        "aws:PrincipalArn": (grants.arn if grants is not None else "") or role_of(principal) or principal,
        **{f"aws:PrincipalTag/{name}": value for name, value in tags},
    }


def _policies(bucket: Bucket) -> list[Policy]:
    text = bucket.settings.get("Policy")
    try:
        return [parse(text, Kind.RESOURCE)] if text is not None else []
    except PolicyError:  # kept by a version that did not check: it gives nothing
        return []


def _refused_by_bucket(cx: Context, bucket: Bucket, question: Question) -> bool:
    policies = _policies(bucket)
    decision = decide(policies, question)
    if bucket.account == cx.account:
        return decision is Decision.DENY
    return decision is not Decision.ALLOW or any(public_access.closes(bucket, policy) for policy in policies)


def _refused_by_role(cx: Context, bucket: Bucket, question: Question) -> bool:
    if (grants := _grants_of_caller(cx, question.principal)) is None:
        return False
    verdict = evaluate(
        question,
        identity=grants.policies,
        resource=_policies(bucket),
        boundary=grants.boundary,
        session=grants.session,
        owner=bucket.account,
    )
    return not verdict.allowed


def _grants_of_caller(cx: Context, principal: str) -> Any:
    """Return what a resource's role has, or who makes a request; None where he owns the account."""
    if GRANTS.get(cx.kernel) is None:
        return None
    if not cx.caller.access_key and (role := role_of(principal)):
        return grants_of(cx, role.rpartition("/")[2])
    return CALLERS_GRANTS.of(cx.kernel)(cx)


def grants_of(cx: Context, name: str) -> Any:
    """Return what a role of the account has, as IAM's component says; remembered for KEPT_S."""
    kept = KEPT.of(cx.kernel)
    since, grants = kept.get((cx.account, name), (0.0, None))
    now = time.monotonic()
    if grants is None or now - since > KEPT_S:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        grants = GRANTS.of(cx.kernel)(cx, name)
        kept[cx.account, name] = (now, grants)
    return grants


def _denied(question: Question) -> errors.AwsError:
    text = (
        f'User: {question.principal} is not authorized to perform: {question.action} on resource: "{question.resource}"'
    )
    return errors.AwsError("AccessDenied", text, status=403)
