"""CompilationJob: its declaration and its legal moves (shape CompilationJobStatus)."""

from __future__ import annotations

from backends.core.resource import resource
from backends.core.states import machine
from backends.jobs.states import NAME_TAKEN

_LAST = {"FAILED", "STOPPING", "STOPPED"}
COMPILATION_JOB = resource(
    "CompilationJob",
    arn_path="compilation-job",
    status_member="CompilationJobStatus",
    machine=machine(STARTING={"INPROGRESS", *_LAST}, INPROGRESS={"COMPLETED", *_LAST}, STOPPING={"STOPPED", "FAILED"}),
    exists=NAME_TAKEN,
    order="Ascending",
    derives=("Describe", "List", "Stop", "Delete"),
    summary={
        "CompilationTargetDevice": "OutputConfig.TargetDevice",
        "CompilationTargetPlatformOs": "OutputConfig.TargetPlatform.Os",
        "CompilationTargetPlatformArch": "OutputConfig.TargetPlatform.Arch",
        "CompilationTargetPlatformAccelerator": "OutputConfig.TargetPlatform.Accelerator",
    },
)
