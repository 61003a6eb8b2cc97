"""A resource policy that hangs on one of our own resources, kept beside its document: an endpoint's, a model package group's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_specs import model
from backends.core import errors
from backends.core.policy.document import Kind, PolicyError, parse

if TYPE_CHECKING:
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.core.types import Context

POLICY = "policy"


def put(cx: Context, resource: Resource, row: Row, text: str) -> None:
    """Store a policy in the place of the one that is there. ValidationException for one that is none."""
    try:
        parse(text, Kind.RESOURCE)
    except PolicyError as error:
        raise errors.validation(f"Invalid resource policy: {error}") from error  # Unverified: AWS's wording
    resource.update(cx, row, row.document, hidden={**row.hidden, POLICY: text})


def text_of(resource: Resource, row: Row) -> str:
    """Return a resource's policy. AWS's error for none."""
    if POLICY not in row.hidden:
        known = model.not_found(f"{resource.noun}Policy")
        raise errors.AwsError(known["code"], known["text"].format(arn=row.arn, name=row.key))
    return str(row.hidden[POLICY])


def remove(cx: Context, resource: Resource, row: Row) -> None:
    """Remove a resource's policy, if it has one."""
    if POLICY in row.hidden:
        resource.update(cx, row, row.document, hidden={k: v for k, v in row.hidden.items() if k != POLICY})
