"""May the caller do this? The step between `check` and `dispatch`; it costs one comparison while LOCALMAKER_IAM is off.

Evaluated are principals that this server issued keys to: users of IAM, role sessions (AssumeRole, jobs), federated users.
Whoever signs with a plain key owns the account, as its root does, and may do everything; only a role's trust is asked of him
too. `soft` says in the log what would be denied; `enforce` answers AccessDenied with AWS's sentence. docs/iam.md has the rest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws import sts
from backends.aws.iam import calls, principals, roles, store
from backends.aws.iam.principals import Grants, Source
from backends.core import arn as arns
from backends.core import errors, keys
from backends.core import policy as policies
from backends.core.context import Caller
from backends.core.objects import role_access
from backends.core.policy import Kind, Policy, Question, Verdict
from backends.core.policy.principals import role_of
from server import actions, condition_keys, denial
from server.actions import AuthorizationRequest, ServiceRequest, read, sagemaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.keys import Key
    from server.exchange import Exchange

log = logging.getLogger("localmaker.iam")
NO_POLICY = {"NoSuchBucket", "NoSuchBucketPolicy"}
COULD_NOT_ASSUME = (
    "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to "
    "assume the role."
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whose request it is: the ARN that policies name, its account, what it has. Nobody has no ARN and no account."""

    arn: str
    account: str
    grants: Grants
    owner: bool = False

    @property
    def own(self) -> str:
        """The ARN of the user or, of a session, of its role (aws:PrincipalArn)."""
        return role_of(self.grants.arn) or self.grants.arn


ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
OWNER = (Source("owner", "", policies.parse(ALL)),)
NOBODY = Principal("", "", Grants("", "Anonymous"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is (or would be) denied, and the sentence that says so."""

    question: Question
    sentence: str


async def authorize(exchange: Exchange) -> None:
    """Judge a request of a service of ours; raise AccessDenied, AccessDeniedException for JSON."""
    assert exchange.operation is not None
    await authorize_as(exchange, exchange.operation.name, exchange.input)


async def authorize_as(exchange: Exchange, operation: str, given: Mapping[str, Any]) -> None:
    """Judge what a request comes to, for those who answer before the steps are through (a form that uploads to S3)."""
    settings = exchange.kernel.settings
    request = ServiceRequest(exchange.service, operation, given)
    if request.service == "sagemaker":
        _refuse_foreign_roles(exchange.context(), request)
    if settings.iam != "off" or settings.roles != "any":
        await _judge(exchange, request)


def _refuse_foreign_roles(cx: Context, request: ServiceRequest) -> None:
    """Refuse another account's role, which nobody can pass, whatever policies say.

    Where nothing is enforced, whoever signs with a key that names no account has not said which one is his: then a role
    stands for that of the same name here, as a script's made-up ARN does.
    """
    lenient = (cx.settings.auth, cx.settings.iam, cx.settings.roles) == ("off", "off", "any")
    if lenient and cx.caller.access_key != cx.account and (not cx.caller.arn or not cx.caller.access_key):
        return
    if any(role.split(":")[4] != cx.account for role in sagemaker.roles_in(request)):
        # Lambda's and CloudFormation's words, as their users report them. Unverified: that SageMaker's code is this one.
        raise errors.AwsError("AccessDeniedException", "Cross-account pass role is not allowed.", status=403)


async def authorize_other(exchange: Exchange) -> None:
    """Judge a request that moto answers."""
    if exchange.kernel.settings.iam == "off":
        return
    assert exchange.identity is not None
    name = exchange.service or exchange.identity.signing_name
    await _judge(exchange, read.read(name, exchange.request))


async def _judge(exchange: Exchange, request: ServiceRequest) -> None:
    """Evaluate first: a request that is refused changes nothing, and makes no role."""
    cx, settings = exchange.context(), exchange.kernel.settings
    if settings.iam != "off":
        await _evaluate(exchange, cx, request)
    passed = sagemaker.roles_of(request) if request.service == "sagemaker" else []
    if passed:
        await cx.transact(lambda inside: _pass_roles(inside, request, passed))
        if settings.roles == "existing":
            await cx.read(lambda inside: _check_roles(inside, request, passed))


async def _evaluate(exchange: Exchange, cx: Context, request: ServiceRequest) -> None:
    key = exchange.kernel.issued_key(cx.caller.access_key) if cx.caller.arn else None
    told = condition_keys.of_exchange(exchange, cx)
    refusals = await cx.read(lambda inside: _refusals(inside, told, request, _principal(inside, request, key), key))
    _refuse(cx, refusals, _code(exchange))


def authorize_call(cx: Context, service: str, operation: str, request: dict[str, Any]) -> None:
    """Judge a call that a resource makes as its role, or a stack for its maker, in the running transaction (`backends/core/calls.py`)."""
    made = ServiceRequest(service, operation, request)
    if service == "sagemaker":
        _refuse_foreign_roles(cx, made)
    if cx.settings.iam != "off" and cx.caller.arn:
        refusals = _refusals(cx, condition_keys.of_call(cx), made, *_of_caller(cx, made))
        _refuse(cx, refusals, "AccessDeniedException")
    passed = sagemaker.roles_of(made) if service == "sagemaker" else []
    if passed and (cx.settings.iam != "off" or cx.settings.roles != "any"):
        _pass_roles(cx, made, passed)
        if cx.settings.roles == "existing":
            _check_roles(cx, made, passed)


def _of_caller(cx: Context, request: ServiceRequest) -> tuple[Principal, Key | None]:
    """Return whose call it is: that of a key that was issued, else of a role's session that has none."""
    key = cx.kernel.issued_key(cx.caller.access_key) if cx.caller.access_key else None
    if key is not None:
        return _principal(cx, request, key), key
    grants = role_access.grants_of(cx, role_of(cx.caller.arn).rpartition("/")[2])
    return Principal(cx.caller.arn, cx.account, grants), None


def _refuse(cx: Context, refusals: list[Refusal], code: str) -> None:
    """Raise for the first refusal where policies are enforced, else log each."""
    if refusals and cx.settings.iam == "enforce":
        raise errors.AwsError(code, refusals[0].sentence, status=403)
    for refusal in refusals:
        question = refusal.question
        log.warning("would deny %s %s on %s", question.principal, question.action, question.resource)


def _code(exchange: Exchange) -> str:
    assert exchange.identity is not None
    return denial.code(exchange.service or exchange.identity.signing_name, exchange.request)


def _pass_roles(cx: Context, request: ServiceRequest, passed: list[str]) -> None:
    """Make the roles that do not exist, where the setting says so, and record what SageMaker itself does with them."""
    store.seed(cx)
    for role in passed:
        roles.ensure_named(cx, role)
        for needed in sagemaker.done_with_the_role(request) if cx.settings.iam != "off" else ():
            calls.record(cx, role, needed.action, needed.resource, denied=False)


def _check_roles(cx: Context, request: ServiceRequest, passed: list[str]) -> None:
    """Refuse a role that is not there or that SageMaker may not assume (LOCALMAKER_ROLES=existing)."""
    config = request.input.get("SessionChainingConfig") or {}
    tags = role_access.chained(cx).get("tags") if config.get("EnableSessionTagChaining") else None
    for arn in passed:
        named = arns.parse(arn)
        role = store.peek(cx, store.ROLE, arn.rpartition("/")[2])
        is_own = named is not None and named.account == cx.account
        if not is_own or role is None or role["Arn"] != arn or not roles.trusts(role, sagemaker.SERVICE, tags):
            raise errors.validation(COULD_NOT_ASSUME.format(role=arn))


def _principal(cx: Context, request: ServiceRequest, key: Key | None) -> Principal:
    """Return whose request it is, with the policies and tags of that principal."""
    if key is None:
        if request.service == "s3" and not cx.caller.access_key:
            return NOBODY
        who = cx.caller.arn or sts.assumed_role_arn(cx.account, keys.SEEDED_ROLE, sts.SESSION)
        return Principal(who, cx.account, Grants(role_of(who), "AssumedRole", identity=OWNER), owner=True)
    grants = principals.of_key(cx, key)
    opened = orjson.loads(key.session) if key.session else {}
    owner = bool(opened.get("owner") or opened.get("owned"))
    if owner:
        grants = replace(grants, identity=OWNER, boundary=None)
    return Principal(key.arn, key.account, grants, owner=owner)


def _refusals(
    cx: Context, told: Mapping[str, Any], request: ServiceRequest, principal: Principal, key: Key | None
) -> list[Refusal]:
    """Evaluate everything that a request needs, and record it. `told`: the condition keys of how it came."""
    authorizations = actions.authorizations(cx, request)
    if (
        principal.owner
        and principal.grants.session is None
        and all(needed.policy != "trust" for needed in authorizations)
    ):
        for needed in authorizations:
            calls.record(cx, principal.own, needed.action, _pattern(needed), denied=False)
        return []
    context = {
        **told,
        **condition_keys.of_principal(principal.arn, principal.own, principal.account, principal.grants),
        **condition_keys.of_request(cx, request, authorizations),
    }
    refusals = []
    for needed in authorizations:
        question = Question(
            needed.action,
            needed.resource,
            principal.arn,
            principal.account,
            {**context, **needed.context},
        )
        verdict = _verdict(cx, needed, question, principal)
        if principal.arn:
            calls.record(cx, principal.own, needed.action, _pattern(needed), denied=not verdict.allowed)
        if not verdict.allowed:
            refusals.append(Refusal(question, verdict.sentence(question) if principal.arn else "Access Denied"))
    if key is not None:
        calls.used(cx, request.service, principal.own.rpartition("/")[2] if ":role/" in principal.own else "")
    return refusals


def _pattern(needed: AuthorizationRequest) -> str:
    """Write the resource for the record: only S3's keys hold characters that a pattern reads otherwise."""
    return calls.literal(needed.resource) if needed.policy == "bucket" else needed.resource


def _verdict(cx: Context, needed: AuthorizationRequest, question: Question, principal: Principal) -> Verdict:
    """Evaluate one question. Of its owner an account's resources are asked nothing, but a role's trust is."""
    grants, trust = principal.grants, needed.policy == "trust"
    if principal.owner and not trust:
        return policies.evaluate(question, identity=grants.policies, session=grants.session)
    return policies.evaluate(
        question,
        identity=grants.policies,
        resource=_resource_policies(cx, needed),
        boundary=grants.boundary,
        session=grants.session,
        owner=needed.owner,
        resource_must_allow=trust,
    )


def _resource_policies(cx: Context, needed: AuthorizationRequest) -> list[Policy]:
    """Read the policy that hangs on a bucket or a role."""
    account = needed.owner or cx.account
    there = cx.kernel.context(account, cx.region, caller=Caller(account), tx=cx.tx)  # its owner, who may read it
    if needed.policy == "trust":
        role = store.peek(there, store.ROLE, needed.resource.rpartition("/")[2])
        return (
            [principals.parsed(role["trust"], Kind.TRUST)]
            if role is not None and role["Arn"] == needed.resource
            else []
        )
    if needed.policy == "bucket":
        bucket = needed.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
        try:
            text = there.call("GetBucketPolicy", {"Bucket": bucket}, "s3")["Policy"]
            return [principals.parsed(text, Kind.RESOURCE)]
        except errors.AwsError as error:
            if error.code not in NO_POLICY:
                raise
    return []
