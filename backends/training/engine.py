"""One training job, from queued to recorded. Read `drive` top to bottom.

Each phase is saved before the step it names, so that a server that is killed anywhere goes on from there: a prepared
job is prepared again, a running one is adopted, an ended one is packed again, and the last status is written once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.core import errors, keys
from backends.core.events import on
from backends.core.lifecycle import transition
from backends.core.objects import role_access
from backends.jobs import artifacts, channels, checkpoints, credentials, logs, opt_ml, places, queue
from backends.jobs.queue import Run, drives
from backends.jobs.runners.base import Handle, StartError
from backends.jobs.spec import Exit, JobSpec
from backends.jobs.supervisor import beneath
from backends.training import plan as plans
from backends.training.status import TRAINING_JOB, advance, finish, with_secondary
from backends.training.verdict import Verdict, verdict

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.resource import Row
    from backends.jobs.runners.base import Runner
    from backends.training.plan import TrainingPlan

POLL_S = 0.25


class JobEnded(Exception):  # noqa: N818 - how a job ends before or instead of its container
    """The job is over; `verdict` says how."""

    def __init__(self, how: Verdict) -> None:
        super().__init__(how.reason)
        self.verdict = how


class JobGone(Exception):  # noqa: N818
    """The job's resource was deleted or reset; there is nothing left to drive."""


@on("TrainingJob", name="training.engine.enqueue", to=("InProgress",))
def enqueue(cx: Context, event: Event) -> None:
    """Queue a job that was accepted."""
    queue.add(cx, "training", event.arn, {"name": event.detail["name"], "attempt": 1})


@drives("training")
def drive(run: Run) -> None:
    """Carry a training job from the phase it reached to its last status."""
    try:
        if run.phase == "cleaning":  # killed after the last status was written
            _forget(run)
            return
        job = _Job(run)
        if run.phase == "queued":
            job.admit()
        job.hold_slots()
        if run.phase == "preparing":
            job.prepare()
        if run.phase == "running":
            job.watch()
        job.end()
    except JobEnded as ended:
        job.record(ended.verdict)
    except JobGone:
        _forget(run)


def fail(run: Run, reason: str) -> None:
    """Fail a job that this server could not drive, after several attempts."""
    try:
        _Job(run).record(Verdict("Failed", "Failed", reason), upload=False)  # the upload may be what fails
    except JobGone:
        _forget(run)


drive.failed = fail  # type: ignore[attr-defined]


class _Job:
    """The steps of one job and what they share. State that must survive the server is in `run.state`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.row = self._row()
        self.as_role = role_access.as_role(run.cx, self.row.document["RoleArn"])
        self.plan: TrainingPlan = plans.plan_of(self.row.document)
        self.to = plans.destination_of(self.row)
        self.directory = plans.job_directory(run.kernel.settings.data_dir, run.id, run.state["attempt"])
        self.slots = queue.of(run.kernel).slots
        self.use_gpus = run.kernel.settings.gpu != "cpu"

    def _row(self) -> Row:
        row = self.run.cx.look(lambda cx: TRAINING_JOB.find_arn(cx, self.run.arn))
        if row is None:
            raise JobGone
        return row

    def _check(self) -> None:
        """Stop between two steps: the server goes down, or the user asked for it before the container ran."""
        self.run.check()
        if self._stop_wanted():
            raise JobEnded(Verdict("Stopped", "Stopped"))

    def _stop_wanted(self) -> bool:
        if self.run.was_notified():
            self.row = self._row()
        return self.row.status == "Stopping"

    def _update(self, secondary: str, message: str = "", **changes: Any) -> None:
        def work(cx: Context) -> Row:
            row = TRAINING_JOB.find_arn(cx, self.run.arn)
            if row is None:
                raise JobGone
            if row.status == "Stopping":  # the user's Stopping stays on show until the end
                return TRAINING_JOB.update(cx, row, {**row.document, **changes}) if changes else row
            return advance(cx, row, secondary, message, **changes)

        self.row = self.run.cx.write(work)

    def _log_line(self, text: str) -> None:
        self.run.cx.write(lambda cx: logs.log_line(cx, self.to, self.plan.hosts[0].name, text))

    def admit(self) -> None:
        """Wait for GPUs and for the job's turn."""
        request = self.plan.resource_request(use_gpus=self.use_gpus)
        if request.gpus > self.slots.gpu_count:
            kinds = ", ".join(sorted({one.name for one in self.plan.instances if one.gpus}))
            raise JobEnded(
                Verdict(
                    "Failed",
                    "Failed",
                    f"CapacityError: {kinds} asks for {request.gpus} GPU(s) and this machine has {self.slots.gpu_count}. "
                    "Set LOCALMAKER_GPU=cpu to run jobs of GPU instance types on the CPU.",
                )
            )
        gpus = self.slots.acquire(self.run.id, request, 0)
        if gpus is None:
            self._update("Pending")
        while gpus is None:
            self._check()
            self._check_waiting()
            gpus = self.slots.acquire(self.run.id, request, POLL_S)
        self.run.save("preparing", gpus=list(gpus))

    def _check_waiting(self) -> None:
        waited = self.run.cx.clock.now() - self.row.created
        if self.plan.max_pending_s is not None and waited > self.plan.max_pending_s:
            raise JobEnded(Verdict("Failed", "Failed", "CapacityError: MaxPendingTimeInSeconds was exceeded."))
        if self.plan.max_wait_s is not None and waited > self.plan.max_wait_s:
            raise JobEnded(Verdict("Stopped", "MaxWaitTimeExceeded"))

    def hold_slots(self) -> None:
        """Count the job in; after a restart it holds what it held."""
        self.slots.hold(self.run.id, len(self.plan.hosts), tuple(self.run.state.get("gpus", ())))

    def prepare(self) -> None:
        """Find the image, download the data, start the hosts."""
        self._check()
        if places.is_started(self.run.kernel, self._handle()):  # killed between the start and its record
            self.run.save("running")
            return
        place = self._find_place()
        self._update(
            "Downloading", TrainingStartTime=self.row.document.get("TrainingStartTime", self.run.cx.clock.now())
        )
        spec = self._specify(place)
        self._check()
        self.run.save("preparing", runner=place.runner.name)
        try:
            opt_ml.check_file_systems(self.run.cx, self.plan.channels, spec.hosts)
            place.runner.start(spec)
        except channels.DataError as error:
            raise self._download_failed(error) from error
        except StartError as error:
            raise JobEnded(Verdict("Failed", "Failed", f"{error.code}: {error.message}")) from error
        self.run.save("running")
        self._update("Training")

    def _find_place(self) -> places.Place:
        gpus = bool(self.run.state["gpus"])
        if any(one.gpus for one in self.plan.instances) and not gpus:
            self._log_line("LOCALMAKER_GPU=cpu: this job's GPU instance type runs on the CPU.")
        wanted = places.Wanted(
            self.plan.image, "train", cuda=gpus, command=self.plan.arguments, entrypoint=self.plan.entrypoint
        )
        try:
            return places.find(self.run.kernel, wanted, self._log_line, self._check)
        except StartError as error:
            raise JobEnded(Verdict("Failed", "Failed", f"{error.code}: {error.message}")) from error

    def _specify(self, place: places.Place) -> JobSpec:
        run, plan = self.run, self.plan
        layout = opt_ml.Plan(
            self.directory, plan.hosts, plan.channels, plan.hyperparameters, place.runner.network_interface
        )
        try:
            hosts, pipes = opt_ml.lay_out(self.as_role, layout, self._check)
            hosts, sync = checkpoints.restore(
                self.as_role, plan.checkpoint_uri, plan.checkpoint_path, hosts, self._check
            )
        except channels.DataError as error:
            raise self._download_failed(error) from error
        access = (
            credentials.Access()
            if plan.isolated
            else credentials.for_job(run.cx, place.runner, self.row.document["RoleArn"], self.run.id)
        )
        limits = places.limits_of(plan.instances[0], self._log_line)
        return JobSpec(
            id=f"{run.id}-{run.state['attempt']}",
            directory=self.directory,
            hosts=tuple(replace(host, mounts=(*host.mounts, *access.mounts)) for host in hosts),
            image=place.image,
            command=place.command,
            entrypoint=place.entrypoint,
            environment=plans.job_environment(plan, run.arn, run.cx.region, access.environment, len(run.state["gpus"])),
            isolated=plan.isolated,
            cpus=limits.cpus,
            memory_mb=limits.memory_mb,
            volume_bytes=plan.volume_bytes,
            gpus=tuple(run.state["gpus"]),
            labels={"localmaker.arn": run.arn},
            pipes=pipes,
            sync=sync,
        )

    @staticmethod
    def _download_failed(error: channels.DataError) -> JobEnded:
        return JobEnded(Verdict("Failed", "Failed", f"ClientError: Data download failed:{error}"))

    def _handle(self) -> Handle:
        job = f"{self.run.id}-{self.run.state['attempt']}"
        return Handle(job, self.directory, self.run.state.get("runner", ""))

    def _runner(self) -> Runner:
        return places.runner(self.run.kernel, self.run.state["runner"])

    def watch(self) -> None:
        """Carry logs and checkpoints over until the hosts have ended; enforce the limits."""
        runner, handle = self._runner(), self._handle()
        if "stop_cause" in self.run.state:  # killed between that record and the stop itself
            runner.stop(handle, plans.STOP_GRACE_S)
        elif self.row.document["SecondaryStatus"] in {"Starting", "Pending", "Downloading"}:
            self._update("Training")
        while True:
            end = runner.wait(handle, POLL_S)
            logs.pump(self.run, runner, handle, self.to)
            self._sync_checkpoints(runner, handle)
            if end is not None:
                self.run.save("ending", exit=end.to_json())
                return
            self.run.check()
            self._row()  # gone when its account was reset
            self._enforce(runner, handle)

    def _enforce(self, runner: Runner, handle: Handle) -> None:
        if "stop_cause" in self.run.state:
            return
        if self._stop_wanted():
            self.run.save(stop_cause="Stopped")
        elif self.run.cx.clock.now() - self.row.document["TrainingStartTime"] > self.plan.max_runtime_s:
            self.run.cx.write(self._limit_reached)
        else:
            return
        runner.stop(handle, plans.STOP_GRACE_S)

    def _limit_reached(self, cx: Context) -> None:
        row = TRAINING_JOB.find_arn(cx, self.run.arn)
        self.run.save_in(cx, stop_cause="MaxRuntimeExceeded")
        if row is not None and row.status == "InProgress":
            document = with_secondary(row.document, "Stopping", cx.clock.now())
            changes = {name: document[name] for name in ("SecondaryStatus", "SecondaryStatusTransitions")}
            transition(cx, TRAINING_JOB, row, "Stopping", **changes)

    def _sync_checkpoints(self, runner: Runner, handle: Handle) -> None:
        if self.plan.checkpoint_uri is None:
            return
        try:
            checkpoints.carry(self.run, self.as_role, runner, handle, self.plan.checkpoint_uri)
        except errors.AwsError as error:  # its bucket is gone, or the role may not write there; Unverified: AWS's words
            raise JobEnded(
                Verdict("Failed", "Failed", f"ClientError: Checkpoint upload failed:{error.message}")
            ) from error

    def end(self) -> None:
        """Bring home logs, checkpoints and artifacts, and write the last status."""
        runner, handle = self._runner(), self._handle()
        logs.pump_all(self.run, runner, handle, self.to)
        self._sync_checkpoints(runner, handle)
        self.row = self._row()
        cause = self.run.state.get("stop_cause") or ("Stopped" if self.row.status == "Stopping" else None)
        how = verdict(Exit.from_json(self.run.state["exit"]), cause, self._failure_text())
        if how.is_ours and self.run.state["attempt"] <= self.plan.attempts:
            self._retry(runner, handle)
            return
        self.record(how)

    def _failure_text(self) -> str:
        for host in self.plan.hosts:
            root = self.directory / host.name / "ml"
            text = artifacts.read_text(root / "output" / "failure", root, 1024)
            if text:
                return text
        return ""

    def _retry(self, runner: Runner, handle: Handle) -> None:
        self._update("Restarting")
        runner.remove(handle)
        for done in ("exit", "stop_cause", "runner"):
            self.run.state.pop(done, None)
        self.run.save("queued", attempt=self.run.state["attempt"] + 1, change_offset=0)
        self.slots.release(self.run.id)
        drive(self.run)

    def record(self, how: Verdict, *, upload: bool = True) -> None:
        """Upload what there is, write the last status, and clean up."""
        changes: dict[str, Any] = {}
        if upload and "exit" in self.run.state:
            self._update("Uploading")
            try:
                changes = self._upload(how)
            except errors.AwsError as error:  # its bucket is gone, or the role may not write there
                how = Verdict("Failed", "Failed", f"ClientError: Artifact upload failed:{error.message}")
        metrics = logs.final_metrics(self.run)
        if metrics:
            changes["FinalMetricDataList"] = metrics

        def work(cx: Context) -> None:
            row = TRAINING_JOB.find_arn(cx, self.run.arn)
            if row is not None:
                finish(cx, row, how.status, how.secondary, how.reason, **changes)
            self.run.save_in(cx, "cleaning")

        self.run.cx.write(work)
        _forget(self.run)

    def _upload(self, how: Verdict) -> dict[str, Any]:
        uri = plans.model_uri(self.plan)
        if uri is None or self.plan.output_uri is None:
            return {}
        check = self.run.check
        roots = [self.directory / host.name / "ml" for host in self.plan.hosts]
        models = [(root / "model", root) for root in roots]
        outputs = [(root / "output" / "data", root) for root in roots]
        base = f"{self.plan.output_uri.rstrip('/')}/{self.plan.name}/output"
        if self.plan.compressed:
            artifacts.upload_archive(
                self.as_role, outputs, f"{base}/output.tar.gz", self.directory, check, self.plan.volume_bytes
            )
        else:
            artifacts.upload_files(self.as_role, outputs, f"{base}/data/", check)
        if how.status == "Failed":
            return {}
        if self.plan.compressed:
            artifacts.upload_archive(self.as_role, models, uri, self.directory, check, self.plan.volume_bytes)
        else:
            artifacts.upload_files(self.as_role, models, uri, check)
        return {"ModelArtifacts": {"S3ModelArtifacts": uri}}


def _clean_up(run: Run) -> None:
    """Remove what the job left on this machine; its resource and its objects are in the database."""
    root = run.kernel.settings.data_dir / "jobs" / run.id
    if "runner" in run.state:
        runner = places.runner(run.kernel, run.state["runner"])
        for attempt in range(1, run.state["attempt"] + 1):
            directory = plans.job_directory(run.kernel.settings.data_dir, run.id, attempt)
            runner.remove(Handle(f"{run.id}-{attempt}", directory, run.state["runner"]))
    beneath.remove(root)


def _forget(run: Run) -> None:
    """End a job whose resource has its last status, or is gone."""
    _clean_up(run)

    def work(cx: Context) -> None:
        keys.end_sessions(cx, run.id)
        run.finish_in(cx)

    run.cx.write(work)
