"""One job being driven, and what a component hands in to have its jobs driven.

A component marks one function with `@drives(kind, RESOURCE)` (`drivers.py`): straight code from the phase a job has
reached to its last status, which saves a phase before each step. After a restart it is called again with the phase it had
reached; each step must bear being done twice.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, update

from backends.core.tables import jobs
from backends.jobs.admission import Lineage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.core.resource import Resource
    from backends.core.rows import Row
    from backends.jobs.admission import Allotment, CapacityError, ResourceRequest

QUEUED = "queued"


class ServerStopping(Exception):  # noqa: N818 - not an error: the next server resumes here
    """The server stops; the job runs on."""


@dataclass(frozen=True, slots=True)
class Driver:
    """How a kind of job is driven.

    `drive(run)` carries it on, in a thread of its own. `fail(run, reason)` ends its resource when that has raised again
    and again. `request(run)` is what it needs of the machine; a kind without one waits for nothing. `refuse(run, error)`
    ends one that this machine can never admit. `look(run)` is called while a job waits, when it is first in line and
    whenever its resource has changed: it ends what need not run any more, and returns the time of the account's clock at
    which it wants to be called again (None: never). `adopt(run)` returns, after a restart, what the job's parts hold.
    """

    kind: str
    drive: Callable[[Run], None]
    fail: Callable[[Run, str], None]
    request: Callable[[Run], ResourceRequest] | None = None
    refuse: Callable[[Run, CapacityError], None] | None = None
    look: Callable[[Run], float | None] | None = None
    adopt: Callable[[Run], Mapping[str, Allotment]] | None = None


def lineage_of(state: Mapping[str, Any]) -> Lineage | None:
    """Return by whom a job was started, from its state; `beside` is how an earlier version wrote its parent down."""
    if "lineage" in state:
        return Lineage(state["lineage"]["family"], tuple(state["lineage"]["ancestors"]))
    return Lineage(state["beside"], (state["beside"],)) if "beside" in state else None


class Run:
    """One job being driven: its row, the context to act in, and a notification that something is wanted of it.

    `allotment` is what it was admitted with; None while it waits.
    """

    def __init__(self, kernel: Kernel, row: Any, allotment: Allotment | None = None) -> None:
        self.kernel = kernel
        self.id: str = row.id
        self.kind: str = row.kind
        self.arn: str = row.arn
        self.phase: str = row.phase
        self.state: dict[str, Any] = orjson.loads(row.state)
        self.cx: Context = kernel.context(row.account, row.region)
        self.allotment = allotment
        self.is_finished = False
        self._notified = threading.Event()
        self._notified.set()  # a new driver looks first whether somebody notified the job while nobody drove it
        self._stopping = threading.Event()

    def find(self, resource: Resource) -> Row | None:
        """Read the resource that the job is of; None where it was deleted or reset."""
        return self.cx.look(lambda cx: resource.find_arn(cx, self.arn))

    def save(self, phase: str | None = None, /, **state: Any) -> None:
        """Write down how far the job is, in a transaction of its own."""
        self.cx.write(lambda cx: self.save_in(cx, phase, **state))

    def save_in(self, cx: Context, phase: str | None = None, /, **state: Any) -> None:
        """Write down how far the job is, in the running transaction."""
        self.phase = phase or self.phase
        self.state.update(state)
        values = {"phase": self.phase, "state": orjson.dumps(self.state)}
        cx.db.execute(update(jobs).where(jobs.c.id == self.id), values)

    def finish_in(self, cx: Context) -> None:
        """Remove the job from the queue, in the transaction that writes its last status."""
        cx.db.execute(delete(jobs).where(jobs.c.id == self.id))
        self.is_finished = True

    def wait(self, timeout_s: float) -> None:
        """Wait for a notification, or until time is up. ServerStopping when the server stops."""
        self._notified.wait(timeout_s)
        self.check()

    def was_notified(self) -> bool:
        """Return whether somebody notified the job since the last call."""
        notified = self._notified.is_set()
        self._notified.clear()
        return notified

    def check(self) -> None:
        """Raise ServerStopping when the server stops."""
        if self._stopping.is_set():
            raise ServerStopping

    def notify(self) -> None:
        """Wake the driver: a stop was asked for, or a limit changed."""
        self._notified.set()

    def close(self) -> None:
        """Notify the driver that the server stops."""
        self._stopping.set()
        self._notified.set()
