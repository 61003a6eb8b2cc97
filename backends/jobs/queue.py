"""The queue: every job that has been accepted and not ended, one row each, and one thread that drives it.

A component adds a row in the transaction that accepts its resource, and marks one function with `@drives(kind)`: straight
code from admission to the last status, which saves a phase before each step. After a restart it is called again with
the phase it had reached; each step must bear being done twice.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import delete, insert, select, update

from backends.core.operation import marked
from backends.core.tables import jobs
from backends.jobs import places
from backends.jobs.slots import Slots
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
Driver = TypeVar("Driver", bound="Callable[[Run], None]")
RETRY_S = 5.0
MAX_FAILURES = 3
RESET_S = 60.0
GOOD_RUN_S = 60.0


class ServerStopping(Exception):  # noqa: N818 - not an error: the next server goes on from here
    """The server stops; the job runs on."""


def drives(kind: str) -> Callable[[Driver], Driver]:
    """Mark `def drive(run)` as what carries a kind of job from its row to its end, in a thread."""

    def mark(driver: Driver) -> Driver:
        driver.__dict__["drivers"] = ((kind, driver),)
        return driver

    return mark


class Run:
    """One job being driven: its row, the context to act in, and a notification when something changed for it."""

    def __init__(self, kernel: Kernel, row: Any) -> None:
        self.kernel = kernel
        self.id: str = row.id
        self.kind: str = row.kind
        self.arn: str = row.arn
        self.phase: str = row.phase
        self.state: dict[str, Any] = orjson.loads(row.state)
        self.cx: Context = kernel.context(row.account, row.region)
        self._notified = threading.Event()
        self._notified.set()  # a driver looks first whether it was notified while no driver ran
        self._closing = threading.Event()

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
        """Take the job off the queue, in the transaction that writes its last status."""
        cx.db.execute(delete(jobs).where(jobs.c.id == self.id))

    def wait(self, timeout_s: float) -> None:
        """Wait until somebody notifies or time is up. ServerStopping when the server goes down."""
        self._notified.wait(timeout_s)
        self.check()

    def was_notified(self) -> bool:
        """Return whether somebody notified since the last call."""
        notified = self._notified.is_set()
        self._notified.clear()
        return notified

    def check(self) -> None:
        """Raise ServerStopping when the server goes down."""
        if self._closing.is_set():
            raise ServerStopping

    def notify(self) -> None:
        """Notify the driver: a stop was asked for, or a limit changed."""
        self._notified.set()

    def close(self) -> None:
        """Notify the driver that the server goes down."""
        self._closing.set()
        self._notified.set()


def add(cx: Context, kind: str, arn: str, state: dict[str, Any] | None = None) -> str:
    """Put a job on the queue, in the running transaction; its thread starts after the commit. Gives its id."""
    job_id = f"{kind}-{uuid.uuid4().hex[:16]}"
    row = {
        "id": job_id,
        "kind": kind,
        "account": cx.account,
        "region": cx.region,
        "arn": arn,
        "phase": "queued",
        "created": cx.clock.now(),
        "state": orjson.dumps(state or {}),
    }
    cx.db.execute(insert(jobs), row)
    assert cx.tx is not None
    cx.tx.after_commit.append(lambda: of(cx.kernel).resume(job_id))
    return job_id


def notify(cx: Context, arn: str) -> None:
    """Notify the drivers of a resource's jobs after this transaction."""
    assert cx.tx is not None
    cx.tx.after_commit.append(lambda: of(cx.kernel).notify(arn))


class Queue:
    """The running drivers of one server."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._drivers: dict[str, Callable[[Run], None]] = dict(
            pair for module in kernel.modules for pair in marked(module, "drivers")
        )
        self._runs: dict[str, tuple[Run | None, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._closed = threading.Event()
        self.slots = Slots()

    def resume(self, job_id: str) -> None:
        """Drive one job, unless it is driven already."""
        with self._lock:
            if self._stopping or job_id in self._runs:
                return
            thread = threading.Thread(target=self._drive, args=(job_id,), name=job_id, daemon=True)
            self._runs[job_id] = (None, thread)
            thread.start()

    def resume_all(self, arn: str | None = None) -> None:
        """Drive every job that an earlier server left, or those of one resource."""
        query = select(jobs.c.id).order_by(jobs.c.created)
        if arn is not None:
            query = query.where(jobs.c.arn == arn)
        for row in self._kernel.db.read_blocking(lambda tx: tx.connection.execute(query).all()):
            self.resume(row.id)

    def release(self, account: str | None) -> None:
        """Wait until the drivers of an account (None: of all) have noticed that their resources are gone."""
        mine = [(run, thread) for run, thread in list(self._runs.values()) if run is not None]
        for run, thread in mine:
            if account is None or run.cx.account == account:
                run.notify()
                thread.join(timeout=RESET_S)

    def notify(self, arn: str) -> None:
        """Notify the drivers of a resource; a job whose driver gave up gets another one."""
        found = [run for run, _ in list(self._runs.values()) if run is not None and run.arn == arn]
        for run in found:
            run.notify()
        if not found:
            self.resume_all(arn)

    def overview(self) -> list[dict[str, str]]:
        """Return the jobs being driven, for the command line."""
        runs = [run for run, _ in list(self._runs.values()) if run is not None]
        return [
            {"id": run.id, "kind": run.kind, "arn": run.arn, "phase": run.phase, "runner": run.state.get("runner", "")}
            for run in runs
        ]

    def close(self) -> None:
        """Let every driver go, wherever it is; jobs run on."""
        with self._lock:
            self._stopping = True
        self._closed.set()
        for run, thread in list(self._runs.values()):
            if run is not None:
                run.close()
            thread.join(timeout=10)

    def _drive(self, job_id: str) -> None:
        """Drive a job to its end; a failure of ours is tried again from the phase it reached."""
        failures = 0
        try:
            while True:
                began = time.monotonic()
                try:
                    if self._drive_once(job_id):
                        return
                except ServerStopping:
                    return
                except Exception as error:
                    log.exception("driving %s failed", job_id)
                    failures = 1 if time.monotonic() - began > GOOD_RUN_S else failures + 1
                    if failures >= MAX_FAILURES and self._give_up(job_id, error):
                        return
                    if self._closed.wait(RETRY_S * failures):
                        return
        finally:
            self.slots.release(job_id)
            self._runs.pop(job_id, None)

    def _drive_once(self, job_id: str) -> bool:
        """Take a job from its row to its end, once; False when there is more to do."""
        row = self._kernel.db.read_blocking(lambda tx: _row(tx, job_id))
        if row is None:
            return True
        run = Run(self._kernel, row)
        with self._lock:
            if self._stopping:
                return True
            self._runs[job_id] = (run, threading.current_thread())
        self._drivers[row.kind](run)
        return True

    def _give_up(self, job_id: str, error: Exception) -> bool:
        """Fail the resource through its component, `drive.failed(run, reason)`; False when that fails too."""
        run, _ = self._runs[job_id]
        if run is None:  # not even its row could be read
            return False
        failed = getattr(self._drivers[run.kind], "failed", None)
        try:
            if failed is not None:
                failed(run, f"InternalServerError: {type(error).__name__}: {error}")
        except Exception:
            log.exception("%s could not be failed; it is tried again", job_id)
            return False
        return True


def _row(tx: Transaction, job_id: str) -> Any:
    return tx.connection.execute(select(jobs).where(jobs.c.id == job_id)).first()


def of(kernel: Kernel) -> Queue:
    """Return the server's queue."""
    found: Queue = kernel.state["queue"]
    return found


def start(kernel: Kernel) -> None:
    """Take up what an earlier server left. Called by the kernel."""
    kernel.state["queue"] = Queue(kernel)


async def listening(kernel: Kernel) -> None:
    """Take up what an earlier server left, now that jobs can reach this one. Called by the kernel."""
    of(kernel).resume_all()
    threading.Thread(target=_sweep, args=(kernel,), name="sweep jobs", daemon=True).start()


def _sweep(kernel: Kernel) -> None:
    """Remove containers and directories of jobs that are in no row any more."""

    def known(job: str) -> bool:
        rows = kernel.db.read_blocking(lambda tx: tx.connection.execute(select(jobs.c.id, jobs.c.state)).all())
        return any(job.startswith(row.id) or job.encode() in row.state for row in rows)

    try:
        places.sweep(kernel, known)
        folder = kernel.settings.data_dir / "jobs"
        for directory in folder.iterdir() if folder.is_dir() else ():
            if not known(directory.name):
                beneath.remove(directory)
    except Exception:
        log.exception("what earlier servers left could not be swept")


def after_reset(kernel: Kernel, account: str | None) -> None:
    """End what ran for resources that a reset has removed. Called by the kernel, in a thread."""
    of(kernel).release(account)


def stop(kernel: Kernel) -> None:
    """Release all jobs. Called by the kernel."""
    if "queue" in kernel.state:
        of(kernel).close()
