"""One job in containers, from admitted to recorded, whatever kind it is. Read `drive` top to bottom.

A component derives from `ContainerJob` what differs (`container_kind.py`: its document, what lies in the containers' directories, the words of
its statuses, what is brought home) and registers it by `@drives_containers(kind)`. Each phase is saved before the step it
names, so that a server that is killed anywhere resumes there: a prepared job is prepared again, a running one is adopted,
an ended one is collected again, and the last status is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from backends.core import errors, keys
from backends.jobs import channels, logs, places, specify
from backends.jobs.admission import Allotment, ResourceRequest
from backends.jobs.container_kind import ContainerKind, JobEnded, JobGone, directory_of, is_status
from backends.jobs.drivers import driven_by
from backends.jobs.run import QUEUED, Driver, lineage_of
from backends.jobs.runners.base import Handle, StartError
from backends.jobs.settings import SETTINGS
from backends.jobs.spec import Exit
from backends.jobs.supervisor import beneath
from backends.jobs.verdict import Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Runner
    from backends.jobs.spec import JobSpec

POLL_S = 0.25
STOP_GRACE_S = 120.0


class ContainerJob(ContainerKind):
    """The steps of one job and what they share."""

    def check(self) -> None:
        """Stop between two steps: the server stops, or the user asked for it before the container ran."""
        self.run.check()
        if self._stop_wanted():
            raise JobEnded(Verdict("Stopped", "Stopped"))

    def _stop_wanted(self) -> bool:
        if self.run.was_notified():
            self.row = self.read_row()
        return is_status(self.row, "Stopping")

    def _show(self, progress: str) -> None:
        def work(cx: Context) -> Row:
            row = self.resource.find_arn(cx, self.run.arn)
            if row is None:
                raise JobGone
            # The user's Stopping stays on show.
            return row if is_status(row, "Stopping") else self.show(cx, row, progress)

        self.row = self.run.cx.write(work)

    def log(self, text: str) -> None:
        """Write a line into the log of the first host."""
        self.run.cx.write(lambda cx: logs.log_line(cx, self.to, self.spec.hosts[0].name, text))

    def look(self) -> float | None:
        """While the job waits: end it if it was stopped or has waited too long; else return when that will be."""
        if self._stop_wanted():
            raise JobEnded(Verdict("Stopped", "Stopped"))
        waited = self.run.cx.clock.now() - self.row.created
        pending_s, wait_s = self.spec.max_pending_s, self.spec.max_wait_s
        if pending_s is not None and waited > pending_s:
            raise JobEnded(Verdict.failed("CapacityError: MaxPendingTimeInSeconds was exceeded."))
        if wait_s is not None and waited > wait_s:
            raise JobEnded(Verdict("Stopped", "MaxWaitTimeExceeded"))
        self._show("waiting")
        limits = [limit for limit in (pending_s, wait_s) if limit is not None]
        return self.row.created + min(limits) if limits else None

    def prepare(self) -> None:
        """Find the image, download the data, start the hosts."""
        self.check()
        if places.is_started(self.run.kernel, self._handle()):  # killed between the start and its record
            self.run.save("running")
            return
        try:
            place = self._find_place()
            self.run.save(started=self.run.state.get("started", self.run.cx.clock.now()))
            self._show("preparing")
            spec = self._specify(place)
            self.check()
            self.run.save("preparing", runner=place.runner.name)
            self.before_start(spec)
            place.runner.start(spec)
        except channels.DataError as error:
            raise JobEnded(Verdict.failed(self.download_failed.format(error))) from error
        except StartError as error:
            raise JobEnded(Verdict.failed(f"{error.code}: {error.message}")) from error
        self.run.save("running")
        self._show("running")

    def _find_place(self) -> places.Place:
        gpus = bool(self.run.state["gpus"])
        if any(kind.gpus for kind in self.spec.instances) and not gpus:
            self.log("LOCALMAKER_GPU=cpu: this job's GPU instance type runs on the CPU.")
        spec = self.spec
        wanted = places.Wanted(spec.image, spec.mode, gpus, spec.entrypoint, spec.arguments)
        return places.find(self.run.kernel, wanted, self.log, self.check)

    def _specify(self, place: places.Place) -> JobSpec:
        run, spec = self.run, self.spec
        layout = self.lay_out(place.runner)
        request = specify.ContainerRequest(
            job=self._handle().job,
            directory=self.directory,
            hosts=layout.hosts,
            arn=run.arn,
            image=spec.image,
            instance=spec.instances[0],
            role=spec.role,
            session=run.id,
            isolated=spec.isolated,
            environment=self.variables(),
            gpus=tuple(run.state["gpus"]),
            volume_bytes=spec.volume_bytes,
            pipes=layout.pipes,
            sync=layout.sync,
            opened=spec.opened,
        )
        return specify.job_spec(run.cx, place, request, self.log)

    def _handle(self) -> Handle:
        return Handle(f"{self.run.id}-{self.attempt}", self.directory, self.run.state.get("runner", ""))

    def _runner(self) -> Runner:
        return places.runner(self.run.kernel, self.run.state["runner"])

    def watch(self) -> None:
        """Carry logs and whatever else comes over until the hosts have ended; enforce the limits."""
        runner, handle = self._runner(), self._handle()
        if "stop_cause" in self.run.state:  # killed between that record and the stop itself
            runner.stop(handle, STOP_GRACE_S)
        else:
            self._show("running")
        while True:
            end = runner.wait(handle, POLL_S)
            logs.pump(self.run, runner, handle, self.to)
            self.tend(runner, handle)
            if end is not None:
                self.run.save("ending", exit=end.to_json())
                return
            self.run.check()
            self.read_row()  # gone when its account was reset
            self._enforce(runner, handle)

    def _enforce(self, runner: Runner, handle: Handle) -> None:
        if "stop_cause" in self.run.state:
            return
        started = self.run.state.get("started", self.row.created)
        if self._stop_wanted():
            self.run.save(stop_cause="Stopped")
        elif self.run.cx.clock.now() - started > self.spec.max_runtime_s:
            self.run.cx.write(self._limit_reached)
        else:
            return
        runner.stop(handle, STOP_GRACE_S)

    def _limit_reached(self, cx: Context) -> None:
        row = self.resource.find_arn(cx, self.run.arn)
        self.run.save_in(cx, stop_cause="MaxRuntimeExceeded")
        if row is not None and is_status(row, "InProgress"):
            self.stopping(cx, row)

    def end(self) -> None:
        """Bring home what is left, and write the last status; or try again what the service itself has failed."""
        runner, handle = self._runner(), self._handle()
        logs.pump_all(self.run, runner, handle, self.to)
        self.tend(runner, handle)
        self.row = self.read_row()
        cause = self.run.state.get("stop_cause") or ("Stopped" if is_status(self.row, "Stopping") else None)
        how = verdict(Exit.from_json(self.run.state["exit"]), cause, self.failure)
        if how.is_ours and self.attempt <= self.spec.attempts:
            self._retry(runner, handle)
            return
        self.record(how)

    def _retry(self, runner: Runner, handle: Handle) -> None:
        self._show("retrying")
        runner.remove(handle)
        for done in ("exit", "stop_cause", "runner", "gpus"):
            self.run.state.pop(done, None)
        self.run.save(QUEUED, attempt=self.attempt + 1, change_offset=0)

    def record(self, how: Verdict, *, collect: bool = True) -> None:
        """Bring home what there is, write the last status, and clean up."""
        changes: dict[str, Any] = {}
        how = self.review(how) if collect else how
        if collect and "exit" in self.run.state:
            self._show("collecting")
            try:
                changes = self.collect(how)
            except errors.AwsError as error:  # its bucket is gone, or the role may not write there
                how = Verdict.failed(self.upload_failed.format(error.message))

        def work(cx: Context) -> None:
            row = self.resource.find_arn(cx, self.run.arn)
            if row is not None:
                # A stop that was acknowledged while the last was brought home is what the user is shown.
                came_late = is_status(row, "Stopping") and how.status == "Completed"
                self.finish(cx, row, Verdict("Stopped", "Stopped") if came_late else how, changes)
            self.run.save_in(cx, "cleaning")

        self.run.cx.write(work)
        forget(self.run)


def forget(run: Run) -> None:
    """End a job whose resource has its last status, or is gone: remove what it left on this machine, and its keys."""
    if "runner" in run.state:
        runner = places.runner(run.kernel, run.state["runner"])
        for attempt in range(1, run.state.get("attempt", 1) + 1):
            runner.remove(Handle(f"{run.id}-{attempt}", directory_of(run, attempt), run.state["runner"]))
    beneath.remove(run.kernel.settings.data_dir / "jobs" / run.id)

    def work(cx: Context) -> None:
        keys.end_sessions(cx, run.id)
        run.finish_in(cx)

    run.cx.write(work)


# -- how the dispatcher drives a kind of job

Kind = TypeVar("Kind", bound=type[ContainerJob])


def drives_containers(kind: str) -> Callable[[Kind], Kind]:
    """Mark a class derived from ContainerJob as what drives a kind of job, from the creation of its resource on."""

    def mark(job: Kind) -> Kind:
        driver = Driver(
            kind,
            lambda run: _drive(job, run),
            lambda run, reason: _settle(job, run, lambda made: made.record(Verdict.failed(reason), collect=False)),
            lambda run: _request(job, run),
            lambda run, error: _settle(job, run, lambda made: made.record(made.capacity_error(error))),
            lambda run: _settle(job, run, ContainerJob.look),
            lambda run: _adopt(job, run),
        )
        return driven_by(job, driver, job.resource)

    return mark


def _drive(kind: type[ContainerJob], run: Run) -> None:
    """Carry a job from the phase it has reached to its last status."""
    if run.phase == "cleaning":  # killed after the last status was written
        forget(run)
        return
    _settle(kind, run, _carry_on)


def _carry_on(job: ContainerJob) -> None:
    run = job.run
    if run.phase == QUEUED:
        assert run.allotment is not None
        run.save("preparing", gpus=list(run.allotment.gpus))
    if run.phase == "preparing":
        job.prepare()
    if run.phase == "running":
        job.watch()
    job.end()


T = TypeVar("T")


def _settle(kind: type[ContainerJob], run: Run, work: Callable[[ContainerJob], T]) -> T | None:
    """Do something for a job, and record it if that ends it. None where it has ended or its resource is gone."""
    try:
        job = kind(run)
        try:
            return work(job)
        except JobEnded as ended:
            job.record(ended.verdict)
    except JobGone:
        forget(run)
    return None


def _request(kind: type[ContainerJob], run: Run) -> ResourceRequest:
    try:
        return kind(run).spec.request(use_gpus=SETTINGS.of(run.kernel).gpu != "cpu")
    except JobGone:  # `look` forgets it
        return ResourceRequest(1)


def _adopt(kind: type[ContainerJob], run: Run) -> Mapping[str, Allotment]:
    """Return what a running job holds."""
    gpus = tuple(run.state.get("gpus", ()))
    return {run.id: Allotment(run.cx.account, _request(kind, run).hosts, gpus, lineage_of(run.state))}
