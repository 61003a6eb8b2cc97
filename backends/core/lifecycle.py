"""`transition`: the only way a status changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.core import errors, events

if TYPE_CHECKING:
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.core.types import Context


def transition(cx: Context, resource: Resource, row: Row, to: str, reason: str = "", **changes: Any) -> Row:
    """Move a row to another status, with other members changed alongside (None removes one), and write the event.

    Of times only LastModifiedTime is stamped, where the document has one; of a reason, FailureReason (1,024 characters) is
    kept where the status is a failed one (`Failed`, `CREATE_FAILED`) and Describe shows it, and the event has all of it. Raise ConflictException when the table does not allow the
    move, or somebody else changed the row in between.
    """
    assert resource.machine is not None
    if not resource.machine.allows(row.status, to):
        raise errors.conflict(f"{row.arn} cannot go from {row.status} to {to}")
    old = row.status
    document = {**row.document, **changes, resource.status_member: to}
    if reason and "failed" in to.lower() and "FailureReason" in model.output_members(resource.describe):
        document["FailureReason"] = reason[:1024]
    row = resource.update(cx, row, {k: v for k, v in document.items() if v is not None}, status=to)
    events.emit(cx, resource.noun, row.arn, old, to, reason, {"name": row.key})
    return row
