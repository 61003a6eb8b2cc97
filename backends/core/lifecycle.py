"""`Machine` and `transition`: how the status of a resource changes after it was inserted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core import errors, events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.resource import Resource, Row


@dataclass(frozen=True)
class Machine:
    """The legal moves of one kind: from a status to those that may follow. A status that leads nowhere is terminal."""

    moves: Mapping[str, frozenset[str]]

    @property
    def states(self) -> frozenset[str]:
        """Every status the table names."""
        return frozenset(self.moves).union(*self.moves.values())

    def allows(self, old: str, new: str) -> bool:
        """Return whether `old` may become `new`."""
        return new in self.moves.get(old, frozenset())

    def is_terminal(self, status: str) -> bool:
        """Return whether nothing follows a status."""
        return not self.moves.get(status)


def machine(**moves: set[str]) -> Machine:
    """Declare a machine: `machine(InProgress={"Completed", "Failed"})`."""
    return Machine({old: frozenset(new) for old, new in moves.items()})


def transition(cx: Context, resource: Resource, row: Row, to: str, reason: str = "", **changes: Any) -> Row:
    """Move a row to another status, with other members changed alongside (None removes one), and write the event.

    Of times only LastModifiedTime is stamped, where the document has one; of a reason, FailureReason (1,024 characters) is
    kept where the status is Failed, and the event has all of it. Raise ConflictException when the table does not allow the
    move, or somebody else changed the row in between.
    """
    assert resource.machine is not None
    if not resource.machine.allows(row.status, to):
        raise errors.conflict(f"{row.arn} cannot go from {row.status} to {to}")
    old = row.status
    document = {**row.document, **changes, resource.status_member: to}
    if to == "Failed" and reason:
        document["FailureReason"] = reason[:1024]
    row = resource.update(cx, row, {k: v for k, v in document.items() if v is not None}, status=to)
    events.emit(cx, resource.noun, row.arn, old, to, reason, {"name": row.key})
    return row
