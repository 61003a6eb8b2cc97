"""The operations that a declaration comes to, where its component has written no handler of the name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model
from backends.core import errors, listing
from backends.core.lifecycle import transition
from backends.core.operation import Operation
from backends.core.paging import binding_of, read_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.core.types import Context

IN_STATUS = "The {noun} {arn} is in status {status} and cannot be deleted."


def operations(resource: Resource, written: frozenset[str]) -> Iterator[Operation]:
    """Yield the operations of the verbs that a resource derives, as far as the model has them and nobody has written them.

    Raises `listing.UndeclaredError` for a List with a member or SortBy value that means nothing.
    """
    handlers: dict[str, Callable[..., Any]] = {
        "Create": create,
        "Describe": describe,
        "Update": update,
        "Start": start,
        "Stop": stop,
        "Delete": delete,
    }
    if resource.awaits:
        handlers |= {"Create": refuse, "Start": named, "Update": named, "Stop": named, "Delete": named}
    for verb, handler in handlers.items():
        name = f"{verb}{resource.noun}"
        is_derived = verb in resource.derives or bool(resource.awaits)
        if is_derived and name not in written and model.has_operation(name):
            yield Operation(
                "sagemaker", name, partial(handler, resource), reads=verb == "Describe", waits=False, noun=resource.noun
            )
    name = model.list_operation(resource.noun) or ""
    if "List" not in resource.derives or not name or name in written:
        return
    if resource.awaits:
        yield Operation("sagemaker", name, partial(empty, name), reads=True, waits=False, noun=resource.noun)
    else:
        own = listing.List(resource, name)
        yield Operation("sagemaker", name, own.page, reads=True, waits=False, noun=resource.noun, is_long=own.is_long)


def refuse(resource: Resource, cx: Context, request: dict[str, Any]) -> None:  # noqa: ARG001 - a handler's parameters
    """Raise NotImplemented (501): what a resource's status promises is not built yet."""
    raise errors.not_implemented(f"sagemaker:Create{resource.noun}, which waits for {resource.awaits}")


def empty(operation: str, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page with nothing on it. ValidationException for a token that no page gave."""
    if "NextToken" in request:
        read_token(cx, request["NextToken"], binding_of(operation, request))
    return {model.summary_shape(operation)[0]: []}


def named(resource: Resource, cx: Context, request: dict[str, Any]) -> None:
    """Raise AWS's error for a resource that is not there: there are none of what cannot be made yet."""
    raise resource.not_found(cx, resource.named(cx, request).key)


def create(resource: Resource, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store what the request says: a record, which nothing stands behind."""
    if resource.numbered:
        number = resource.next_number(cx, resource.parent_key_of(request))
        request = {**request, resource.name_member: number}
    key = resource.key_of(request)
    status = ""
    if resource.machine is not None:
        status = next(iter(resource.machine.moves))
    row = resource.insert(cx, key, request, status=status, tag_list=request.get("Tags"))
    return _answer(f"Create{resource.noun}", row)


def describe(resource: Resource, cx: Context, request: dict[str, Any]) -> bytes:
    """Return the stored document."""
    if len(resource.key_members) == 1 and not request.get(resource.name_member, "arn:").startswith("arn:"):
        return resource.document_bytes(cx, request[resource.name_member])  # ready to send
    return orjson.dumps(resource.named(cx, request).document)


def update(resource: Resource, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Put the members of the request that Describe knows in the place of those that are there."""
    row = resource.named(cx, request)
    changes = {k: v for k, v in request.items() if k in resource.shown and k not in resource.key_members}
    row = resource.update(cx, row, {**row.document, **changes})
    return _answer(f"Update{resource.noun}", row)


def stop(resource: Resource, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Move what runs to Stopping; its driver is woken by that. Nothing where it stops already, AWS's error once it has ended."""
    row = resource.named(cx, request)
    assert resource.machine is not None
    if row.status.lower() != "stopping":
        stopping = resource.machine.next_like(row.status, "Stopping")
        if not stopping:
            raise resource.refusal("Stop", resource.stopped, row)
        row = transition(cx, resource, row, stopping)
    return _answer(f"Stop{resource.noun}", row)


def start(resource: Resource, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Move what was stopped to Pending (or Starting); its driver is woken by that. AWS's error where it does not come from there."""
    row = resource.named(cx, request)
    assert resource.machine is not None
    starting = resource.machine.next_like(row.status, "Pending") or resource.machine.next_like(row.status, "Starting")
    if not starting:
        raise resource.refusal("Start", resource.stopped, row)
    return _answer(f"Start{resource.noun}", transition(cx, resource, row, starting))


def delete(resource: Resource, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a record; refuse what is under way, its deletion too, and begin one where Deleting is one of its statuses."""
    row = resource.named(cx, request)
    states = resource.machine
    if states is not None and (deleting := states.next_like(row.status, "Deleting")):
        row = transition(cx, resource, row, deleting)
    elif states is not None and (row.status.lower() == "deleting" or not states.is_terminal(row.status)):
        raise resource.refusal("Delete", IN_STATUS, row)
    else:
        resource.delete(cx, row)
    return _answer(f"Delete{resource.noun}", row)


def _answer(operation: str, row: Row) -> dict[str, Any]:
    """Return those members of the document that an operation answers with; the ARN also where Describe shows none."""
    given = model.output_members(operation)
    arn = next((member for member in given if member.endswith("Arn")), None)
    answer = {member: row.document[member] for member in given if member in row.document}
    return {arn: row.arn, **answer} if arn is not None else answer
