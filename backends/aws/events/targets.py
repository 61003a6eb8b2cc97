"""Targets of rules: who is sent what matches. Source: EventBridge API reference (2026-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.events import calls, inputs, rules, scope
from backends.core import errors
from backends.core.operation import operation
from backends.core.paging import read_token, write_token

if TYPE_CHECKING:
    from backends.core.context import Context

MOST = 5
NEED_ROLE = frozenset({"states", "kinesis", "firehose", "sagemaker"})
"""Services that no policy of a resource lets EventBridge call: its role does ("Permissions for targets")."""
KNOWN = frozenset({
    "Id", "Arn", "RoleArn", "Input", "InputPath", "InputTransformer", "DeadLetterConfig", "RetryPolicy", "SqsParameters",
    "SageMakerPipelineParameters", "KinesisParameters",
})  # fmt: skip


@operation("PutTargets", service="events")
def put_targets(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add targets to a rule, or replace those of the same ids. LimitExceededException past five; ValidationException for bad ones."""
    given = {target["Id"]: target for target in request["Targets"]}
    if len(given) < len(request["Targets"]):
        raise scope.invalid("Duplicate target IDs are not allowed in the request.")  # Unverified: AWS's words
    for target in given.values():
        _check(cx, target)
    row = scope.rule_of(cx, request, "Rule")
    merged = {target["Id"]: target for target in row.document["Targets"]} | given
    if len(merged) > MOST:
        raise errors.AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    rules.store(cx, {**row.document, "Targets": list(merged.values())}, _following(row.document))
    return {"FailedEntryCount": 0, "FailedEntries": []}


def _following(document: dict[str, Any]) -> Any:
    return rules.check(document, document["EventBusName"])


def _check(cx: Context, target: dict[str, Any]) -> None:
    named = scope.check_own(cx, target["Arn"])
    scope.check_role(cx, target)
    for member in target:
        if member not in KNOWN:
            raise errors.not_implemented(f"events: {member} of a target")
    if named.service == "scheduler":  # what Scheduler's universal targets are, rules do not have
        raise scope.malformed(target["Arn"])
    calls.check_built(named)
    if named.service in NEED_ROLE and "RoleArn" not in target:
        raise scope.invalid(f"RoleArn is required for target {target['Arn']}.")
    inputs.check(target)
    if named.service == "sqs" and named.resource.endswith(".fifo") and "SqsParameters" not in target:
        raise scope.invalid(f"Parameter(s) SqsParameters must be specified for target: {target['Id']}.")
    dead = target.get("DeadLetterConfig", {}).get("Arn")
    if dead is not None and scope.check_own(cx, dead).service != "sqs":
        raise scope.invalid(f"Parameter {dead} is not valid. Reason: a dead-letter queue must be a queue of SQS.")


@operation("RemoveTargets", service="events")
def remove_targets(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove targets of a rule; those that are not there do not matter."""
    row = scope.rule_of(cx, request, "Rule")
    kept = [target for target in row.document["Targets"] if target["Id"] not in request["Ids"]]
    rules.store(cx, {**row.document, "Targets": kept}, _following(row.document))
    return {"FailedEntryCount": 0, "FailedEntries": []}


@operation("ListTargetsByRule", service="events")
def list_targets_by_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a rule's targets, in pages."""
    row = scope.rule_of(cx, request, "Rule")
    size, binding = request.get("Limit", scope.MOST_LISTED), f"ListTargetsByRule {row.key}".encode()
    first = read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else 0
    targets = row.document["Targets"]
    more = {"NextToken": write_token(cx, [first + size], binding)} if len(targets) > first + size else {}
    return {"Targets": targets[first : first + size], **more}
