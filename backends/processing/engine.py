"""What processing adds to a job in containers (`backends/jobs/container_job.py`): its inputs and outputs, its exit message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.jobs import artifacts, mirrors, opt_ml
from backends.jobs.container_job import ContainerJob, drives_containers
from backends.jobs.container_kind import JobEnded, Layout
from backends.jobs.kinds import Shown
from backends.jobs.verdict import Verdict
from backends.processing import document as documents
from backends.processing.status import PROCESSING_JOB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.container_kind import ContainerSpec
    from backends.jobs.runners.base import Handle, Runner

DIRECTORIES = ("output",)
SHOWN = Shown(
    "ProcessingJob", documents.LOG_GROUP, began_member="ProcessingStartTime", ended_member="ProcessingEndTime"
)


@drives_containers("processing")
class ProcessingJob(ContainerJob):
    """One processing job."""

    resource = PROCESSING_JOB
    download_failed = "ClientError: Failed to download data. {}"  # aws-samples/sagemaker-run-notebook 32
    upload_failed = "ClientError: Failed to upload data. {}"  # Unverified
    exit_message = ""

    def read(self) -> ContainerSpec:
        """Read the document, and the outputs besides."""
        outputs = documents.outputs_of(self.document)
        self.at_end = [output for output in outputs if not output.is_continuous]
        self.continuous = [output for output in outputs if output.is_continuous]
        return documents.container_spec(self.document)

    def variables(self) -> Mapping[str, str]:
        """Return the variables of every host."""
        return documents.variables(self.document)

    def lay_out(self, runner: Runner) -> Layout:
        """Write the inputs of every host, and make the directories of its outputs."""
        layout = opt_ml.DirectoryLayout(
            self.directory,
            self.spec.hosts,
            documents.inputs_of(self.document),
            {"processingjobconfig.json": documents.config_of(self.document)},
            runner.network_interface,
            config_folder="config",
            directories=(*DIRECTORIES, *(output.path for output in (*self.at_end, *self.continuous))),
        )
        hosts, pipes = opt_ml.lay_out(self.as_role, layout, self.check)
        mirrored = [(host, number, output) for host in hosts for number, output in enumerate(self.continuous)]
        sync = (mirrors.sync_of(host, host.opt_ml / output.path, number) for host, number, output in mirrored)
        return Layout(hosts, pipes, tuple(sync))

    def tend(self, runner: Runner, handle: Handle) -> None:
        """Carry over what is uploaded continuously."""
        if not self.continuous:
            return
        hosts, uris = [host.name for host in self.spec.hosts], [output.uri for output in self.continuous]
        try:
            mirrors.carry(self.run, self.as_role, runner, handle, hosts, uris)
        except errors.AwsError as error:  # its bucket is gone, or the role may not write there
            raise JobEnded(Verdict.failed(self.upload_failed.format(error.message))) from error

    def failure(self, code: int, is_out_of_memory: bool) -> str:  # noqa: ARG002
        """Return AWS's sentence, whichever the exit code."""
        return "AlgorithmError: See job logs for more information"

    def _roots(self) -> list[Path]:
        return [self.directory / host.name / "ml" for host in self.spec.hosts]

    def review(self, how: Verdict) -> Verdict:
        """Read the exit message; one that is no text fails the job."""
        limit = documents.MESSAGE_BYTES + 1
        told = [artifacts.read_bytes(root / "output" / "message", root, limit) for root in self._roots()]
        try:
            self.exit_message = documents.exit_message(told)
        except UnicodeDecodeError:  # Unverified: AWS's words
            return Verdict.failed("ClientError: The exit message in /opt/ml/output/message is not UTF-8 text.")
        return how

    def collect(self, how: Verdict) -> dict[str, Any]:  # noqa: ARG002 - uploaded however the job ended
        """Upload the outputs; all hosts' lie under the same prefixes."""
        for output in self.at_end:
            folders = [(root / output.path, root) for root in self._roots()]
            artifacts.upload_files(self.as_role, folders, f"{output.uri.rstrip('/')}/", self.run.check)
        return {}

    def finish(self, cx: Context, row: Row, how: Verdict, changes: dict[str, Any]) -> None:
        """Write the last status with the exit message."""
        told = {"ExitMessage": self.exit_message} if self.exit_message else {}
        super().finish(cx, row, how, {**changes, **told})
