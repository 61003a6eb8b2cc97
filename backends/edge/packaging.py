"""Packaging jobs: a compiled model becomes an archive that agents fetch, with a manifest of its name, version and files.

Nothing of the model is run or loaded, so that a thread of the server does it. AWS signs the model besides (ModelSignature); here
nothing does.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.errors import AwsError
from backends.core.lifecycle import transition
from backends.core.objects import parse_uri, role_access
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.jobs import archive, artifacts, channels
from backends.jobs.drivers import drives, end
from backends.jobs.kinds import Shown
from backends.jobs.opt_ml import bring, make_open
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.run import Run

_LAST = {"FAILED", "STOPPING", "STOPPED"}
MESSAGE = "EdgePackagingJobStatusMessage"
PACKAGING = resource(
    "EdgePackagingJob",
    arn_path="edge-packaging-job",
    status_member="EdgePackagingJobStatus",
    machine=machine(STARTING={"INPROGRESS", *_LAST}, INPROGRESS={"COMPLETED", *_LAST}, STOPPING={"STOPPED", "FAILED"}),
    exists="Edge packaging job already exists: {arn}",  # Unverified
    sorts={"MODEL_NAME": "ModelName"},
    derives=("Describe", "List", "Stop"),
)
SHOWN = Shown("EdgePackagingJob", "/aws/sagemaker/EdgePackagingJobs", ended=("COMPLETED", "FAILED", "STOPPED"))
"""Nothing is logged: what a job has to say is its message."""
MANIFEST = "manifest.json"
VOLUME_BYTES = 30 << 30
FAILED_LONGEST = 1024


@operation("CreateEdgePackagingJob")
def create_edge_packaging_job(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Accept a packaging job as STARTING. ValidationException for a compilation job that is not there or not COMPLETED."""
    PACKAGING.check_free(cx, request["EdgePackagingJobName"])
    if request["OutputConfig"].get("PresetDeploymentType"):
        raise errors.not_implemented("components of AWS IoT Greengrass (PresetDeploymentType)")
    uri = f"{request['OutputConfig']['S3OutputLocation'].rstrip('/')}/{request['ModelName']}-{request['ModelVersion']}.tar.gz"
    artifacts.check_may_store(cx, request["RoleArn"], uri, "OutputConfig")
    name = request["CompilationJobName"]
    try:
        job = cx.call("DescribeCompilationJob", {"CompilationJobName": name})
    except AwsError as error:  # Unverified: AWS's wordings
        raise errors.validation(f"There is no compilation job {name}.") from error
    if job["CompilationJobStatus"] != "COMPLETED":
        raise errors.validation(
            f"The compilation job {name} is in status {job['CompilationJobStatus']}, not COMPLETED."
        )
    places = {"from": job["ModelArtifacts"]["S3ModelArtifacts"], "to": uri}
    PACKAGING.insert(
        cx,
        request["EdgePackagingJobName"],
        request,
        status="STARTING",
        hidden=places,
        tag_list=request.get("Tags"),
    )
    return {}


def fail(run: Run, reason: str) -> None:
    """End a job as FAILED."""
    end(run, PACKAGING, "FAILED", reason, **{MESSAGE: reason[:FAILED_LONGEST]})


@drives("edge-packaging", PACKAGING, fail=fail)
def package(run: Run) -> None:
    """Fetch, unpack, pack and store; each may be done twice."""
    row = run.find(PACKAGING)
    if row is None or row.status == "STOPPING":
        end(run, PACKAGING, "STOPPED")
        return
    if row.status == "STARTING":
        run.cx.write(lambda cx: transition(cx, PACKAGING, PACKAGING.get(cx, row.arn), "INPROGRESS"))
    folder = run.kernel.settings.data_dir / "jobs" / run.id
    try:
        checksum = _package(run, row, folder)
    except (AwsError, channels.DataError, archive.ArchiveError) as error:
        fail(run, f"ClientError: {getattr(error, 'message', error)}")
        return
    finally:
        beneath.remove(folder)
    run.cx.write(lambda cx: _keep(cx, row.arn, checksum))
    end(run, PACKAGING, "COMPLETED", ModelArtifact=row.hidden["to"])


def _package(run: Run, row: Row, folder: Path) -> str:
    """Store the package; return its SHA-1."""
    as_role = role_access.as_role(run.cx, row.document["RoleArn"])
    beneath.remove(folder)
    files = folder / "files"
    make_open(files, above=folder)
    stored = as_role.look(lambda cx: channels.required(cx, row.hidden["from"]))
    packed = folder / "package.tar.gz"
    bring(as_role, stored, packed, above=folder, link=True)
    archive.unpack_file(packed, files, VOLUME_BYTES, run.check)
    packed.unlink()
    names = ("ModelName", "ModelVersion", "CompilationJobName")
    manifest = {**{name: row.document[name] for name in names}, "Files": sorted(each.name for each in files.iterdir())}
    beneath.remove(files / MANIFEST)  # whatever the archive has of that name
    (files / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    artifacts.pack([(files, folder)], packed, run.check, VOLUME_BYTES)
    with packed.open("rb") as file:
        checksum = hashlib.file_digest(file, hashlib.sha1).hexdigest()
    as_role.objects.put_file(as_role, *parse_uri(row.hidden["to"]), packed, move=True, content_type="application/x-tar")
    return checksum


def _keep(cx: Context, arn: str, checksum: str) -> None:
    row = PACKAGING.find_arn(cx, arn)
    if row is not None:
        PACKAGING.update(cx, row, row.document, hidden={**row.hidden, "sha1": checksum})
