"""What compilation adds to a job in containers (`backends/jobs/container_job.py`): the artifact, and what it is converted to."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from backends.compilation.operations import IMAGES, INFERENCE_IMAGE
from backends.compilation.status import COMPILATION_JOB
from backends.core.lifecycle import transition
from backends.core.objects import parse_uri
from backends.jobs import archive, artifacts, channels, opt_ml
from backends.jobs.container_job import ContainerJob, drives_containers
from backends.jobs.container_kind import ContainerSpec, Layout
from backends.jobs.kinds import Shown
from backends.jobs.opt_ml import Host
from backends.jobs.verdict import Verdict, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.runners.base import Runner

LOG_GROUP = "/aws/sagemaker/CompilationJobs"
HOST = Host("algo-1", "ml.m5.xlarge")
COMMAND = ("python", "-P", "-m", "containers.compiler")
ARTIFACT = "input/data/model"
DIRECTORIES = (ARTIFACT, "model", "output")
VOLUME_BYTES = 30 << 30
REPORT_BYTES = 1 << 20
SHOWN = Shown(
    "CompilationJob",
    LOG_GROUP,
    ended=("COMPLETED", "FAILED", "STOPPED"),
    began_member="CompilationStartTime",
    ended_member="CompilationEndTime",
)


@drives_containers("compilation")
class CompilationJob(ContainerJob):
    """One compilation job."""

    resource = COMPILATION_JOB
    download_failed = "ClientError: InputConfiguration: {}"  # Unverified, as the others here: AWS's words

    def read(self) -> ContainerSpec:
        """Read the document. The container gets neither network nor keys: what it converts is another's code."""
        return ContainerSpec(
            name=self.document["CompilationJobName"],
            role=self.document["RoleArn"],
            hosts=(HOST,),
            image=IMAGES[self.document["InputConfig"]["Framework"]],
            mode="",
            entrypoint=COMMAND,
            arguments=(),
            isolated=True,
            volume_bytes=VOLUME_BYTES,
            max_runtime_s=self.document["StoppingCondition"]["MaxRuntimeInSeconds"],
        )

    def variables(self) -> Mapping[str, str]:
        """Return none."""
        return {}

    def lay_out(self, runner: Runner) -> Layout:
        """Unpack the artifact for the container. DataError for one that is not there, or no archive."""
        source, output = self.document["InputConfig"], self.document["OutputConfig"]
        config = {**source, "CompilerOptions": json.loads(output.get("CompilerOptions", "{}"))}
        files = {"compilationconfig.json": config}
        layout = opt_ml.DirectoryLayout(
            self.directory, self.spec.hosts, (), files, runner.network_interface, directories=DIRECTORIES
        )
        hosts, pipes = opt_ml.lay_out(self.as_role, layout, self.check)
        stored = self.as_role.look(lambda inside: channels.required(inside, source["S3Uri"]))
        packed = self.directory / "model.tar.gz"
        opt_ml.bring(self.as_role, stored, packed, above=self.directory, link=True)
        try:
            archive.unpack_file(packed, self._root / ARTIFACT, VOLUME_BYTES, self.check)
        except archive.ArchiveError as error:
            raise channels.DataError(f"the model artifact cannot be extracted: {error}") from error
        finally:
            packed.unlink(missing_ok=True)
        return Layout(hosts, pipes)

    @property
    def _root(self) -> Path:
        return self.directory / HOST.name / "ml"

    def show(self, cx: Context, row: Row, progress: str) -> Row:
        """Move to INPROGRESS once the job's time begins."""
        if row.status == "STARTING" and progress != "waiting":
            return transition(cx, COMPILATION_JOB, row, "INPROGRESS", **self.began(row, "preparing"))
        return super().show(cx, row, progress)

    def failure(self, code: int, is_out_of_memory: bool) -> str:
        """Return what the converter says of the artifact."""
        text = artifacts.read_text(self._root / "output" / "failure", self._root, 1024)
        if text.startswith("ClientError: "):
            return fitted(text, "")
        cause = "out of memory" if is_out_of_memory else text.partition("\n")[0] or f"exit code {code}"
        return fitted(f"ClientError: CompilationError: {cause}", "")

    def collect(self, how: Verdict) -> dict[str, Any]:
        """Upload the model with its report; return its digest, what was derived of it, and what serves it."""
        if how.status != "Completed":
            return {}
        packed = self.directory / "archive.tar.gz"
        artifacts.pack([(self._root / "model", self._root)], packed, self.run.check, self.spec.volume_bytes)
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, hashlib.blake2b).hexdigest()
        uri = self.document["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, key = parse_uri(uri)
        self.as_role.objects.put_file(self.as_role, bucket, key, packed, move=True, content_type="application/x-tar")
        made: dict[str, Any] = {"ModelDigests": {"ArtifactDigest": digest}}
        if self.document["OutputConfig"].get("TargetDevice", "").startswith("ml_"):
            made["InferenceImage"] = INFERENCE_IMAGE
        if "DataInputConfig" not in self.document["InputConfig"] and (shapes := self._shapes()):
            made["DerivedInformation"] = {"DerivedDataInputConfig": shapes}
        return made

    def _shapes(self) -> str:
        """Return the inputs' shapes as the report has them; nothing where it is not as the converter writes it."""
        try:
            text = artifacts.read_bytes(self._root / "model" / "report.json", self._root, REPORT_BYTES)
            inputs = json.loads(text)["Inputs"]
            return json.dumps({str(name): list(entry["Shape"]) for name, entry in inputs.items()})[:16384]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ""

    def finish(self, cx: Context, row: Row, how: Verdict, changes: dict[str, Any]) -> None:
        """Write the last status; a job whose time was up has failed (shape StoppingCondition: "a TimeOut error")."""
        if how.secondary == "MaxRuntimeExceeded":
            how = Verdict.failed("ClientError: TimeOut: MaxRuntimeInSeconds was exceeded.")
        super().finish(cx, row, how, changes)
