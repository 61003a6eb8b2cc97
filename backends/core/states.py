"""`Machine`: the table of a kind's legal moves from status to status. `lifecycle.transition` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def next_like(self, status: str, word: str) -> str:
        """Return the status that may follow and is a word in any case (`STOPPING` for `Stopping`), or an empty string."""
        return next((new for new in self.moves.get(status, ()) if new.lower() == word.lower()), "")

    def is_terminal(self, status: str) -> bool:
        """Return whether nothing follows a status."""
        return not self.moves.get(status)


def machine(**moves: set[str]) -> Machine:
    """Declare a machine: `machine(InProgress={"Completed", "Failed"})`."""
    return Machine({old: frozenset(new) for old, new in moves.items()})
