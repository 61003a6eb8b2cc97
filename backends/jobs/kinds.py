"""What `localmaker jobs` and `localmaker logs` show of a kind of work in containers: its component says it in a `Shown`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Shown:
    """One noun: where its log is, and what says how it ended.

    `log_group` with `{name}` is one resource's own; any other has streams whose names begin with the resource's. `ended`:
    the statuses in which one is listed as ended. `began_member`, `ended_member`: the document's times, where it has any.
    """

    noun: str
    log_group: str
    ended: tuple[str, ...] = ("Completed", "Failed", "Stopped")
    began_member: str = ""
    ended_member: str = ""


def shown(kernel: Kernel) -> Iterator[Shown]:
    """Yield what the components declare."""
    for module in kernel.modules:
        yield from (value for value in vars(module).values() if isinstance(value, Shown))
