"""What training adds to a job in containers (`backends/jobs/container_job.py`): channels, checkpoints, the model it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.lifecycle import transition
from backends.jobs import artifacts, checkpoints, logs, mirrors, opt_ml
from backends.jobs.container_job import ContainerJob, drives_containers
from backends.jobs.container_kind import JobEnded, Layout
from backends.jobs.kinds import Shown
from backends.jobs.verdict import Verdict
from backends.training import document as documents
from backends.training import package
from backends.training.status import TRAINING_JOB, advance, finish, with_secondary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.container_kind import ContainerSpec
    from backends.jobs.runners.base import Handle, Runner
    from backends.jobs.spec import JobSpec

SHOWN = Shown("TrainingJob", documents.LOG_GROUP, began_member="TrainingStartTime", ended_member="TrainingEndTime")
SECONDARY = {
    "waiting": "Pending",
    "preparing": "Downloading",
    "running": "Training",
    "collecting": "Uploading",
    "retrying": "Restarting",
}


@drives_containers("training")
class TrainingJob(ContainerJob):
    """One training job."""

    resource = TRAINING_JOB

    def read(self) -> ContainerSpec:
        """Read the document, and what is training's own besides."""
        self.training = documents.training_spec(self.document)
        return documents.container_spec(self.document, self.row.hidden)

    def destination(self) -> logs.Destination:
        """Return where the job's lines and metrics go."""
        return documents.destination_of(self.row)

    def variables(self) -> Mapping[str, str]:
        """Return the variables of every host."""
        return documents.variables(self.training, self.spec.name, self.run.arn)

    def lay_out(self, runner: Runner) -> Layout:
        """Write /opt/ml of every host, with its channels and the checkpoints of an earlier job."""
        training = self.training
        layout = opt_ml.DirectoryLayout(
            self.directory,
            self.spec.hosts,
            training.channels,
            documents.config_of(training),
            runner.network_interface,
            directories=documents.DIRECTORIES,
        )
        hosts, pipes = opt_ml.lay_out(self.as_role, layout, self.check)
        hosts, sync = checkpoints.restore(
            self.as_role, training.checkpoint_uri, training.checkpoint_path, hosts, self.check
        )
        return Layout(hosts, pipes, sync)

    def before_start(self, spec: JobSpec) -> None:
        """Check that no link has taken the place of a file system's directory."""
        opt_ml.check_file_systems(self.run.cx, self.training.channels, spec.hosts)

    def show(self, cx: Context, row: Row, progress: str) -> Row:
        """Move to the secondary status; the job's time begins with its download."""
        return advance(cx, row, SECONDARY[progress], **self.began(row, progress))

    def stopping(self, cx: Context, row: Row) -> None:
        """Show Stopping as secondary status too."""
        document = with_secondary(row.document, "Stopping", cx.clock.now())
        changes = {name: document[name] for name in ("SecondaryStatus", "SecondaryStatusTransitions")}
        transition(cx, TRAINING_JOB, row, "Stopping", **changes)

    def tend(self, runner: Runner, handle: Handle) -> None:
        """Carry checkpoints over."""
        if self.training.checkpoint_uri is None:
            return
        hosts = [host.name for host in self.spec.hosts]
        try:
            mirrors.carry(self.run, self.as_role, runner, handle, hosts, [self.training.checkpoint_uri])
        except errors.AwsError as error:  # its bucket is gone, or the role may not write there; Unverified: AWS's words
            raise JobEnded(Verdict.failed(f"ClientError: Checkpoint upload failed:{error.message}")) from error

    def failure(self, code: int, is_out_of_memory: bool) -> str:
        """Return what a host wrote to /opt/ml/output/failure, with the exit code."""
        roots = [self.directory / host.name / "ml" for host in self.spec.hosts]
        told = (artifacts.read_text(root / "output" / "failure", root, 1024) for root in roots)
        return documents.failure_reason(next(filter(None, told), ""), code, is_out_of_memory=is_out_of_memory)

    def collect(self, how: Verdict) -> dict[str, Any]:
        """Upload /opt/ml/output/data, and /opt/ml/model unless the job failed."""
        base = documents.output_base(self.training, self.spec.name)
        if base is None:
            return {}
        roots = [self.directory / host.name / "ml" for host in self.spec.hosts]
        self._upload([(root / "output" / "data", root) for root in roots], f"{base}/output.tar.gz", f"{base}/data/")
        if how.status == "Failed":
            return {}
        uri = self._upload([(root / "model", root) for root in roots], f"{base}/model.tar.gz", f"{base}/model/")
        return {"ModelArtifacts": {"S3ModelArtifacts": uri}}

    def _upload(self, folders: list[Any], archive: str, prefix: str) -> str:
        """Store folders as one archive, or file by file; return which of the two places it was."""
        if not self.training.compressed:
            artifacts.upload_files(self.as_role, folders, prefix, self.run.check)
            return prefix
        artifacts.upload_archive(self.as_role, folders, archive, self.directory, self.run.check, self.spec.volume_bytes)
        return archive

    def finish(self, cx: Context, row: Row, how: Verdict, changes: dict[str, Any]) -> None:
        """Write the last status with the last value of each metric."""
        if metrics := logs.final_metrics(self.run):
            changes = {**changes, "FinalMetricDataList": metrics}
        if how.status == "Completed" and "ModelPackageConfig" in self.document:
            how, changes = package.register(cx, self.document, changes, how)
        finish(cx, row, how.status, how.secondary, how.reason, **changes)
