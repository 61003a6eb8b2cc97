"""Event buses, their policies, and the tags of buses and rules. Source: EventBridge API reference (2026-11)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backends.aws.events import documents, scope
from backends.aws.events.scope import BUSES, DEFAULT, RULES
from backends.core import errors, tags
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

UNBUILT = ("EventSourceName", "KmsKeyIdentifier", "LogConfig", "DeadLetterConfig")
KEPT = ("Description",)


@operation("CreateEventBus", service="events")
def create_event_bus(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a bus. ResourceAlreadyExistsException for a name that is taken; 501 for partners' buses, keys and logs."""
    _check_built(request)
    name = request["Name"]
    if name == DEFAULT or BUSES.find(cx, name) is not None:
        raise errors.AwsError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
    if "/" in name:
        raise scope.invalid("Event bus name must not contain '/'.")
    arn = scope.bus_arn(cx, name)
    BUSES.put(cx, name, arn, {"Name": name, "Arn": arn, **{k: request[k] for k in KEPT if k in request}})
    if request.get("Tags"):
        tags.put(cx, arn, request["Tags"])
    return {"EventBusArn": arn, **{k: request[k] for k in KEPT if k in request}}


@operation("UpdateEventBus", service="events")
def update_event_bus(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a bus's description."""
    _check_built(request)
    name = scope.bus_name(cx, request, "Name")
    document = {**_document(cx, name), **{k: request[k] for k in KEPT if k in request}}
    BUSES.put(cx, name, document["Arn"], document)
    return {k: document[k] for k in ("Arn", "Name", *KEPT) if k in document}


@operation("DescribeEventBus", service="events")
def describe_event_bus(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bus; the default one is always there."""
    name = scope.bus_name(cx, request, "Name")
    row = BUSES.find(cx, name)
    return _shown(row) if row is not None else _document(cx, name)


@operation("DeleteEventBus", service="events")
def delete_event_bus(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a bus; one that is not there does not matter. ValidationException while it has rules, and for the default one."""
    name = request["Name"]
    if name == DEFAULT:
        raise scope.invalid(f"Cannot delete event bus {name}.")
    row = BUSES.find(cx, name)
    if row is not None:
        if RULES.page(cx, f"{name}/", limit=1):  # Unverified: AWS's words
            raise scope.invalid(f"Event bus {name} can't be deleted since it has rules.")
        BUSES.delete(cx, row)
    return {}


@operation("ListEventBuses", service="events")
def list_event_buses(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List buses by name, the default one first where its name fits (on the first page, which is one longer for it)."""
    prefix = request.get("NamePrefix", "")

    def read(after: str | None, size: int) -> list[Row]:
        return [row for row in BUSES.page(cx, prefix, after, size + 1) if row.key != DEFAULT][:size]

    rows, more = scope.paged(cx, request, f"ListEventBuses {prefix}", read)
    shown = [_shown(row) for row in rows]
    if "NextToken" not in request and DEFAULT.startswith(prefix):
        shown = [describe_event_bus(cx, {}), *shown]
    return {"EventBuses": shown, **more}


@operation("PutPermission", service="events")
def put_permission(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Set a bus's policy, or add one statement to it. ValidationException where it is no JSON object."""
    name = scope.bus_name(cx, request)
    document = _document(cx, name)
    if "Policy" in request:
        policy = _read(request["Policy"])
    else:
        lacking = [member for member in ("StatementId", "Action", "Principal") if member not in request]
        if lacking:
            raise scope.invalid(f"Parameter {lacking[0]} is not valid. Reason: {lacking[0]} is a required argument.")
        policy = _read(document.get("Policy", '{"Version": "2012-10-17", "Statement": []}'))
        principal = request["Principal"]
        statement = {
            "Sid": request["StatementId"],
            "Effect": "Allow",
            "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
            "Action": request["Action"],
            "Resource": document["Arn"],
        }
        if "Condition" in request:
            condition = request["Condition"]
            statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
        others = [each for each in policy.get("Statement", []) if each.get("Sid") != request["StatementId"]]
        policy = {**policy, "Statement": [*others, statement]}
    BUSES.put(cx, name, document["Arn"], {**document, "Policy": json.dumps(policy)})
    return {}


@operation("RemovePermission", service="events")
def remove_permission(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove one statement of a bus's policy, or all. ResourceNotFoundException for one that is not there."""
    name = scope.bus_name(cx, request)
    document = _document(cx, name)
    if request.get("RemoveAllPermissions"):
        document.pop("Policy", None)
    else:
        policy = _read(document.get("Policy", '{"Statement": []}'))
        kept = [each for each in policy["Statement"] if each.get("Sid") != request.get("StatementId")]
        if len(kept) == len(policy["Statement"]):
            raise scope.missing("Statement with the provided id does not exist.")
        document = {**document, "Policy": json.dumps({**policy, "Statement": kept})}
        if not kept:
            del document["Policy"]
    BUSES.put(cx, name, document["Arn"], document)
    return {}


@operation("TagResource", "UntagResource", "ListTagsForResource", service="events")
def tag_resource(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a bus or a rule, remove some, or return them. ResourceNotFoundException for what is not there."""
    arn = request["ResourceARN"]
    kind, _, name = scope.check_own(cx, arn).resource.partition("/")
    key = name if "/" in name else f"{DEFAULT}/{name}"
    row = RULES.find(cx, key) if kind == "rule" else BUSES.find(cx, name)
    if row is None and (kind, name) != ("event-bus", DEFAULT):
        raise scope.missing(f"{'Rule' if kind == 'rule' else 'Event bus'} {name} does not exist.")
    return tags.answer(cx, arn, request, ("Tags", "TagKeys"))


def _check_built(request: dict[str, Any]) -> None:
    for member in UNBUILT:
        if request.get(member):
            raise errors.not_implemented(f"events: {member} of an event bus")


def _read(text: str) -> dict[str, Any]:
    try:
        policy: dict[str, Any] = documents.read(text)
    except ValueError as error:
        raise scope.invalid("Policy is not valid JSON.") from error
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise scope.invalid("Policy must be a JSON object with a list of statements.")
    return policy


def _document(cx: Context, name: str) -> dict[str, Any]:
    row = BUSES.find(cx, name)
    return row.document if row is not None else {"Name": name, "Arn": scope.bus_arn(cx, name)}


def _shown(row: Row) -> dict[str, Any]:
    return {**row.document, "CreationTime": row.created, "LastModifiedTime": row.created}
