"""The queue: every job that has been accepted and not ended, one row each. `dispatcher.py` says when each one runs.

Every event about a resource notifies the drivers of its jobs.
"""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import insert, select

from backends.core.memory import InMemory
from backends.core.operation import marked
from backends.core.policy.principals import session_of
from backends.core.tables import jobs
from backends.jobs import machine, places
from backends.jobs.admission import Admission, Lineage
from backends.jobs.dispatcher import Dispatcher
from backends.jobs.run import QUEUED, lineage_of
from backends.jobs.settings import SETTINGS
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
DISPATCHER = InMemory[Dispatcher]("jobs.dispatcher")


def add(cx: Context, kind: str, arn: str, state: dict[str, Any] | None = None, *, caller: str = "") -> str:
    """Put a job on the queue, in the running transaction; it is dispatched after the commit. Returns its id.

    `caller`: whose request it was (`event.caller`). What a job asks for, with its role's keys, is admitted beside that job,
    which may wait for it: its keys' session has the job's id.
    """
    job_id = f"{kind}-{uuid.uuid4().hex[:16]}"
    lineage = _lineage(cx, session_of(caller))
    row = {
        "id": job_id,
        "kind": kind,
        "account": cx.account,
        "region": cx.region,
        "arn": arn,
        "phase": QUEUED,
        "created": cx.clock.now(),
        "state": orjson.dumps({**(state or {}), **({"lineage": asdict(lineage)} if lineage is not None else {})}),
    }
    cx.db.execute(insert(jobs), row)
    assert cx.tx is not None
    cx.tx.after_commit.append(lambda: DISPATCHER.of(cx.kernel).submit(job_id))
    return job_id


def _lineage(cx: Context, parent: str) -> Lineage | None:
    """Return by whom a job is started that another one asks for; None where that is no job, or another account's."""
    if not parent:
        return None
    row = cx.db.execute(select(jobs.c.state).where(jobs.c.id == parent, jobs.c.account == cx.account)).first()
    if row is None:
        return None
    above = lineage_of(orjson.loads(row.state))
    if above is None:
        return Lineage(parent, (parent,))
    running = set(cx.db.execute(select(jobs.c.id).where(jobs.c.id.in_(above.ancestors))).scalars())
    return Lineage(above.family, (*(job for job in above.ancestors if job in running), parent))


def start(kernel: Kernel) -> None:
    """Make the dispatcher. Called by the kernel."""
    drivers = {driver.kind: driver for module in kernel.modules for driver in marked(module, "drivers")}
    admission = Admission(SETTINGS.of(kernel).max_jobs or machine.places(), machine.gpu_indexes())
    dispatcher = DISPATCHER.set(kernel, Dispatcher(kernel, drivers, admission))
    kernel.changed.listeners.append(dispatcher.notify)


async def listening(kernel: Kernel) -> None:
    """Go on with what an earlier server left, now that jobs can reach this one. Called by the kernel."""
    DISPATCHER.of(kernel).start()
    threading.Thread(target=_sweep, args=(kernel,), name="sweep jobs", daemon=True).start()


def _sweep(kernel: Kernel) -> None:
    """Remove containers and directories of jobs that are in no row any more."""

    def is_known(job: str) -> bool:
        rows = kernel.db.read_blocking(lambda tx: tx.connection.execute(select(jobs.c.id, jobs.c.state)).all())
        return any(job.startswith(row.id) or job.encode() in row.state for row in rows)

    try:
        places.sweep(kernel, is_known)
        folder = kernel.settings.data_dir / "jobs"
        for directory in folder.iterdir() if folder.is_dir() else ():
            if not is_known(directory.name):
                beneath.remove(directory)
    except Exception:
        log.exception("what earlier servers left could not be swept")


def after_reset(kernel: Kernel, account: str | None) -> None:
    """End what ran for resources that a reset has removed. Called by the kernel, in a thread."""
    DISPATCHER.of(kernel).release_account(account)


def stop(kernel: Kernel) -> None:
    """Release all jobs; they run on. Called by the kernel."""
    dispatcher = DISPATCHER.get(kernel)
    if dispatcher is not None:
        dispatcher.close()
