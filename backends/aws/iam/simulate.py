"""SimulatePrincipalPolicy and SimulateCustomPolicy: the policy language asked from outside.

One result for each pair of action and resource. Without resources an action is asked about `*`, so a policy that names
resources says no: both SageMaker SDKs know that and ask only about actions that their policies allow on `*`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.iam import principals, roles, store
from backends.aws.iam.principals import Grants, Source
from backends.aws.iam.store import OWNERS
from backends.core import arn as arns
from backends.core import errors
from backends.core import policy as policies
from backends.core.operation import operation
from backends.core.policy import Decision, Kind, Question

if TYPE_CHECKING:
    from backends.core.context import Context

PAGE = 100


@operation("SimulatePrincipalPolicy", service="iam", reads=False)
def simulate_principal_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a role, user or group may do. A role of the account that does not exist counts as docs/iam.md says."""
    grants = _grants(cx, request["PolicySourceArn"])
    more = tuple(_inputs(request, "PolicyInputList"))
    kept = tuple(source for source in grants.identity if source.name not in request.get("PolicyExclusionList", ()))
    boundary = grants.boundary
    if "PermissionsBoundaryPolicyInputList" in request:
        boundary = tuple(source.policy for source in _inputs(request, "PermissionsBoundaryPolicyInputList"))
    return _simulate(request, request.get("CallerArn", grants.arn), (*kept, *more), boundary)


@operation("SimulateCustomPolicy", service="iam", reads=True)
def simulate_custom_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what some policies allow. Organizations' policies are not evaluated: 501."""
    if request.get("OrderedOrganizationPolicyInputList"):
        raise errors.not_implemented("OrderedOrganizationPolicyInputList")
    boundary = None
    if "PermissionsBoundaryPolicyInputList" in request:
        boundary = tuple(source.policy for source in _inputs(request, "PermissionsBoundaryPolicyInputList"))
    caller = request.get("CallerArn", f"arn:aws:iam::{cx.account}:root")
    return _simulate(request, caller, tuple(_inputs(request, "PolicyInputList")), boundary)


@operation("GetContextKeysForPrincipalPolicy", service="iam", reads=False)
def get_context_keys_for_principal_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the condition keys that a principal's policies (and those given) read."""
    sources = (*_grants(cx, request["PolicySourceArn"]).identity, *_inputs(request, "PolicyInputList"))
    return {"ContextKeyNames": _keys(sources)}


@operation("GetContextKeysForCustomPolicy", service="iam", reads=True)
def get_context_keys_for_custom_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the condition keys that some policies read."""
    del cx  # only the policies count
    return {"ContextKeyNames": _keys(tuple(_inputs(request, "PolicyInputList")))}


def _keys(sources: tuple[Source, ...]) -> list[str]:
    return sorted({key for source in sources for key in source.policy.context_keys()})


def _grants(cx: Context, arn: str) -> Grants:
    """Read what an ARN has. InvalidInput (400) for what is no principal's, NoSuchEntity (404) for one that is not there."""
    named = arns.parse(arn)
    kind = next((k for k in OWNERS if named is not None and named.resource.startswith(f"{k.arn_path}/")), None)
    if named is None or named.service != "iam" or kind is None or named.account != cx.account:
        raise errors.AwsError(
            "InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
        )
    if kind is store.ROLE:
        roles.ensure_named(cx, arn)
    entity = store.get(cx, kind, named.resource.rpartition("/")[2])
    return principals.of_entity(cx, kind, entity)


def _inputs(request: dict[str, Any], member: str) -> list[Source]:
    return [
        Source(f"{member}.{number}", "IAM Policy", _parse(text, Kind.IDENTITY))
        for number, text in enumerate(request.get(member, ()), 1)
    ]


def _parse(text: str, kind: Kind) -> policies.Policy:
    try:
        return policies.parse(text, kind)
    except policies.PolicyError as error:
        raise errors.AwsError("InvalidInput", str(error)) from error


def _simulate(
    request: dict[str, Any], caller: str, identity: tuple[Source, ...], boundary: tuple[policies.Policy, ...] | None
) -> dict[str, Any]:
    entries = request.get("ContextEntries", ())
    if not all("ContextKeyName" in entry for entry in entries):  # the model lets it out, the service does not
        raise errors.AwsError("InvalidInput", "Invalid Input: each context entry needs a ContextKeyName.")
    context = {e["ContextKeyName"]: e.get("ContextKeyValues", []) for e in entries}
    resource = [_parse(request["ResourcePolicy"], Kind.RESOURCE)] if "ResourcePolicy" in request else []
    owner = request.get("ResourceOwner", "").split(":")[4:5]
    named = arns.parse(caller)
    results = []
    for action in request["ActionNames"]:
        if ":" not in action:
            raise errors.AwsError("InvalidInput", f"Invalid Input Action: {action} is not a valid action")
        for arn in request.get("ResourceArns", ["*"]):
            question = Question(action, arn, caller, named.account if named is not None else "", context)
            verdict = policies.evaluate(
                question,
                identity=[source.policy for source in identity],
                resource=resource,
                boundary=boundary,
                owner=owner[0] if owner else "",
            )
            results.append(_result(question, verdict, identity, boundary))
    return store.page(request, "EvaluationResults", results, PAGE)


def _result(
    question: Question,
    verdict: policies.Verdict,
    identity: tuple[Source, ...],
    boundary: tuple[policies.Policy, ...] | None,
) -> dict[str, Any]:
    wanted = verdict.decision is not Decision.DENY
    matched = [
        {"SourcePolicyId": source.name, "SourcePolicyType": source.kind}
        for source in identity
        for statement in policies.matching([source.policy], question)
        if statement.allows == wanted and verdict.decision is not Decision.IMPLICIT
    ]
    missing = [key for key in _keys(identity) if key not in question.keys]
    result: dict[str, Any] = {
        "EvalActionName": question.action,
        "EvalResourceName": question.resource,
        "EvalDecision": verdict.decision.value,
        "MatchedStatements": matched,
        "MissingContextValues": missing,
    }
    if boundary is not None:
        allowed = policies.decide(boundary, question) is Decision.ALLOW
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return result
