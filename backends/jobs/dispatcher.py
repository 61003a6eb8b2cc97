"""The dispatcher: one thread that admits waiting jobs, and one thread for each job that runs.

A waiting job is a row and an entry here, without a thread. What is asked about it meanwhile (a stop, a time limit) is done
by a few threads that all waiting jobs share.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.core.tables import jobs
from backends.jobs.admission import Admission, Allotment, CapacityError
from backends.jobs.run import QUEUED, Run, ServerStopping, lineage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backends.core.kernel import Kernel
    from backends.jobs.run import Driver

log = logging.getLogger(__name__)
RETRY_S, LONGEST_RETRY_S = 5.0, 600.0
MAX_FAILURES = 3
MOST_FAILURES = 12
"""After MAX_FAILURES a job's resource is failed; where that fails too, its driver is left after MOST_FAILURES (50 minutes)."""
GOOD_RUN_S = 60.0
CLOCK_S = 0.5
"""How often the account's clocks are read for waiting jobs that have a time limit."""
LOOKERS = 4
STOP_S = 8.0
RELEASE_S = 60.0
BATCH = 500


@dataclass(slots=True)
class _Entry:
    """A waiting job. `wanted`: somebody notified it while it was looked at. `error`: it is in no line, but to be refused.

    `failures`: how often in a row it could not be looked at, or refused.
    """

    row: Any
    driver: Driver
    error: CapacityError | None = None
    deadline: float | None = None
    looking: bool = False
    wanted: bool = False
    failures: int = 0


class Dispatcher:
    """The waiting and the running jobs of one server."""

    def __init__(self, kernel: Kernel, drivers: Mapping[str, Driver], admission: Admission) -> None:
        self._kernel, self._drivers, self._admission = kernel, drivers, admission
        self._lock = threading.RLock()
        self._new: deque[str] = deque()
        self._waiting: dict[str, _Entry] = {}
        self._running: dict[str, tuple[Run | None, threading.Thread]] = {}
        self._jobs_of: dict[str, set[str]] = {}
        self._abandoned: dict[str, str] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._dispatch, name="dispatch jobs", daemon=True)
        self._lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="waiting jobs")

    def start(self) -> None:
        """Count in what an earlier server left running, then go on with all of its jobs and begin to admit."""
        rows = self._rows(None)
        for row in rows:
            if row.phase != QUEUED:
                self._adopt(row)
        self._new.extend(row.id for row in rows)
        self._wake.set()
        self._thread.start()

    def submit(self, job_id: str) -> None:
        """Take on a new job; from any thread, at once."""
        self._new.append(job_id)
        self._wake.set()

    def notify(self, arn: str) -> None:
        """Wake the drivers of a resource; a job whose driver gave up gets another one. From any thread, at once."""
        with self._lock:
            for job in self._jobs_of.get(arn, ()):
                run, _ = self._running.get(job, (None, None))
                if run is not None:
                    run.notify()
                if job in self._waiting:
                    self._look_at(self._waiting[job])
            abandoned = self._abandoned.pop(arn, None)
        if abandoned is not None:
            self.submit(abandoned)

    def release_account(self, account: str | None) -> None:
        """Wait until the drivers of an account (None: of all) have noticed that their resources are gone."""
        deadline = time.monotonic() + RELEASE_S
        with self._lock:
            arns = {entry.row.arn for entry in self._waiting.values()}
            arns |= {run.arn for run, _ in self._running.values() if run is not None}
        for arn in arns:
            if account is None or arn.split(":")[4] == account:
                self.notify(arn)
        while self._busy_with(account) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _busy_with(self, account: str | None) -> bool:
        with self._lock:
            accounts = [entry.row.account for entry in self._waiting.values()]
            accounts += [run.cx.account for run, _ in self._running.values() if run is not None]
        return any(account is None or busy == account for busy in accounts)

    def take_gpus(self, holder: str, account: str, count: int) -> tuple[int, ...] | None:
        """Take free GPUs for something that waits in no line, or those it holds; None where too few are free."""
        with self._lock:
            return self._admission.take_gpus(holder, account, count)

    def release(self, holder: str) -> None:
        """Return what a holder holds. Idempotent."""
        with self._lock:
            self._admission.release(holder)
        self._wake.set()

    @property
    def gpu_count(self) -> int:
        """The GPUs of this machine."""
        return len(self._admission.gpus)

    def overview(self) -> list[dict[str, str]]:
        """Return the jobs that run and wait, for the command line."""
        with self._lock:
            running = [run for run, _ in self._running.values() if run is not None]
            waiting = [entry.row for entry in self._waiting.values()]
        shown = [
            {"id": run.id, "kind": run.kind, "arn": run.arn, "phase": run.phase, "runner": run.state.get("runner", "")}
            for run in running
        ]
        return shown + [
            {"id": row.id, "kind": row.kind, "arn": row.arn, "phase": row.phase, "runner": ""} for row in waiting
        ]

    def close(self) -> None:
        """Notify every driver that the server stops, and wait STOP_S for all of them together; jobs run on."""
        self._closed.set()
        self._wake.set()
        self._lookers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._running.values())
        for run, _ in running:
            if run is not None:
                run.close()
        deadline = time.monotonic() + STOP_S
        for _, thread in [*running, (None, self._thread)]:
            if thread.ident is not None:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))

    # -- the dispatcher's own thread

    def _dispatch(self) -> None:
        while not self._closed.is_set():
            with self._lock:
                has_deadline = any(entry.deadline is not None for entry in self._waiting.values())
            self._wake.wait(CLOCK_S if has_deadline else None)
            self._wake.clear()
            try:
                self._round()
            except Exception:
                log.exception("jobs could not be dispatched; it is tried again")
                self._closed.wait(RETRY_S)
                self._wake.set()

    def _round(self) -> None:
        """Take on what is new, admit what fits, and look at what has just come and must wait or has come to its limit."""
        new: list[str] = []
        while self._new and len(new) < BATCH:
            new.append(self._new.popleft())
        if self._new:
            self._wake.set()
        try:
            rows = sorted(self._rows(new), key=lambda row: new.index(row.id)) if new else []  # as they were submitted
            entered = [job for row in rows if (job := self._take_on(row)) is not None]
        except Exception:
            self._new.extendleft(reversed(new))
            raise
        with self._lock:
            if self._closed.is_set():
                return
            failures = [error for admitted in self._admission.admit() if (error := self._begun(*admitted)) is not None]
            due = [self._waiting[job] for job in entered if job in self._waiting]
            for entry in [*due, *self._past_deadline()]:
                self._look_at(entry)
        for error in failures:
            raise error

    def _past_deadline(self) -> list[_Entry]:
        clocks = self._kernel.clocks
        return [
            entry
            for entry in self._waiting.values()
            if entry.deadline is not None and clocks.now(entry.row.account) > entry.deadline
        ]

    def _rows(self, ids: Iterable[str] | None) -> Sequence[Any]:
        query = select(jobs).order_by(jobs.c.created, jobs.c.id)
        if ids is not None:
            query = query.where(jobs.c.id.in_(list(ids)))
        return self._kernel.db.read_blocking(lambda tx: tx.connection.execute(query).all())

    def _adopt(self, row: Any) -> None:
        driver, run = self._drivers.get(row.kind), Run(self._kernel, row)
        if driver is None or driver.adopt is None:
            return
        try:
            held = driver.adopt(run)
        except Exception:  # its driver fails as well, and ends it: until then it holds something
            log.exception("what %s holds could not be read", row.id)
            held = {row.id: Allotment(row.account, 1, tuple(run.state.get("gpus", ())))}
        for holder, allotment in held.items():
            self._admission.hold(holder, allotment)

    def _take_on(self, row: Any) -> str | None:
        """Start a job that waits for nothing, or put it in line: return its id then."""
        driver = self._drivers.get(row.kind)
        if driver is None:  # of a version that had it: whoever knows it again goes on with it
            log.warning("%s waits: this version has no jobs of its kind", row.id)
            return None
        with self._lock:
            if row.id in self._running or row.id in self._waiting:
                return str(row.id) if row.id in self._waiting else None
            self._jobs_of.setdefault(row.arn, set()).add(row.id)
            if row.phase != QUEUED or driver.request is None:
                self._start(row.id, None)
                return None
        run = Run(self._kernel, row)
        try:
            request = driver.request(run)
        except Exception:  # of this job: it is tried again, and failed, in a thread of its own
            log.exception("what %s asks for could not be read", row.id)
            with self._lock:
                self._start(row.id, None)
            return None
        with self._lock:
            entry = self._waiting[row.id] = _Entry(row, driver)
            try:
                self._admission.check(request)
            except CapacityError as error:
                entry.error = error
            else:
                self._admission.submit(row.id, row.account, request, lineage_of(run.state))
        return str(row.id)

    def _begun(self, job: str, outcome: Allotment | CapacityError) -> Exception | None:
        """Begin what was admitted; where that fails, return the failure and let the job come again: nobody else waits for it."""
        entry = self._waiting[job]
        if isinstance(outcome, CapacityError):
            entry.error = outcome
            self._look_at(entry)
            return None
        del self._waiting[job]
        try:
            self._start(job, outcome)
        except Exception as error:  # noqa: BLE001 - the machine has no thread left
            self._forget(job, entry.row.arn)
            self._new.append(job)
            return error
        return None

    def _start(self, job: str, allotment: Allotment | None) -> None:
        thread = threading.Thread(target=self._drive, args=(job, allotment), name=job, daemon=True)
        self._running[job] = (None, thread)
        try:
            thread.start()
        except Exception:
            del self._running[job]
            raise

    # -- what is asked about waiting jobs, in the threads they share

    def _look_at(self, entry: _Entry) -> None:
        """Look at a waiting job, or refuse it where this machine can never admit it, until either is done."""
        refuse, error = entry.driver.refuse, entry.error
        if entry.looking:
            entry.wanted = True
        elif error is not None and refuse is not None:
            self._hand_out(entry, lambda run: refuse(run, error))
        elif entry.driver.look is not None:
            self._hand_out(entry, entry.driver.look)

    def _hand_out(self, entry: _Entry, work: Callable[[Run], float | None]) -> None:
        entry.looking, entry.wanted = True, False
        self._admission.pause(entry.row.id, paused=True)
        if not self._closed.is_set():
            self._lookers.submit(self._work_on, entry, work)

    def _work_on(self, entry: _Entry, work: Callable[[Run], float | None]) -> None:
        """Do something about a waiting job; then it is in line again, or ended."""
        run: Run | None = None
        try:
            rows = self._rows([entry.row.id])
            if rows:
                run = Run(self._kernel, rows[0])
                entry.deadline = work(run)
            entry.failures = 0
        except ServerStopping:
            return
        except Exception:
            if self._closed.is_set():
                return
            if not entry.failures:
                log.exception("waiting job %s could not be looked at; it is tried again and again", entry.row.id)
            entry.failures += 1
            entry.deadline = self._kernel.clocks.now(entry.row.account) + _pause_s(entry.failures)
        with self._lock:
            entry.looking = False
            if run is None or run.is_finished:
                self._waiting.pop(entry.row.id, None)
                self._forget(entry.row.id, entry.row.arn)
            else:
                self._admission.pause(entry.row.id, paused=False)
                if entry.wanted:
                    self._look_at(entry)
        self._wake.set()

    # -- running jobs, each in its own thread

    def _drive(self, job: str, allotment: Allotment | None) -> None:
        """Drive a job to its end; a failure of ours is tried again from the phase it reached."""
        failures, again = 0, False
        try:
            while not self._closed.is_set():
                began = time.monotonic()
                try:
                    again = self._drive_once(job, allotment)
                except ServerStopping:
                    return
                except Exception as error:
                    if self._closed.is_set():
                        return
                    failures = 1 if time.monotonic() - began > GOOD_RUN_S else failures + 1
                    if failures <= MAX_FAILURES:
                        log.exception("driving %s failed", job)
                    if failures >= MAX_FAILURES and self._give_up(job, error, failures):
                        return
                    self._closed.wait(_pause_s(failures))
                else:
                    return
        finally:
            with self._lock:
                run, _ = self._running.pop(job)
                self._forget(job, run.arn if run is not None else "")
            if again:
                self._new.append(job)
            self._wake.set()

    def _forget(self, job: str, arn: str) -> None:
        """Return what a job holds. Without an ARN (its row was never read) every resource is gone through."""
        self._admission.release(job)
        for each in [arn] if arn else [known for known, ids in self._jobs_of.items() if job in ids]:
            ids = self._jobs_of.get(each, set())
            ids.discard(job)
            if not ids:
                self._jobs_of.pop(each, None)

    def _drive_once(self, job: str, allotment: Allotment | None) -> bool:
        """Carry a job from its row on, once; return whether it is to wait in line again."""
        rows = self._rows([job])
        if not rows:
            return False
        run = Run(self._kernel, rows[0], allotment)
        with self._lock:
            if self._closed.is_set():
                raise ServerStopping
            self._running[job] = (run, threading.current_thread())
        driver = self._drivers[run.kind]
        if run.phase == QUEUED and allotment is None and driver.request is not None:  # that could not be read
            driver.request(run)
            return True
        driver.drive(run)
        return run.phase == QUEUED and not run.is_finished

    def _give_up(self, job: str, error: Exception, failures: int) -> bool:
        """End the resource through its component, or leave it; return whether its driver is done. Logged once each."""
        run, _ = self._running[job]
        if run is None:  # not even its row could be read
            return False
        try:
            self._drivers[run.kind].fail(run, f"InternalServerError: {type(error).__name__}: {error}")
        except Exception:
            if failures == MAX_FAILURES:
                log.exception("%s could not be failed; it is tried again, less and less often", job)
            if failures < MOST_FAILURES:
                return False
            log.error("%s is left until something is asked of it, or the server starts again", job)  # noqa: TRY400
        if not run.is_finished:
            self._abandoned[run.arn] = job
        return True


def _pause_s(failures: int) -> float:
    return min(RETRY_S * 2.0 ** min(failures - 1, 30), LONGEST_RETRY_S)
