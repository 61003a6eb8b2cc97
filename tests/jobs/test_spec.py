"""Specs and exits are stored as JSON and read back as they were."""

from __future__ import annotations

import json
from pathlib import Path

from backends.jobs.spec import Exit, HostExit, HostSpec, ImageRef, JobSpec, Mount, Pipe, Sync

SPEC = JobSpec(
    id="job-1",
    directory=Path("/data/job-1"),
    hosts=(
        HostSpec("algo-1", Path("/data/job-1/algo-1"), (Mount(Path("/data/x"), "/opt/ml/input/data/x"),), {"A": "b"}),
        HostSpec("algo-2", Path("/data/job-1/algo-2")),
    ),
    image=ImageRef("image:1", Path("/venvs/a"), (Path("/opt/cuda"),), (Path("/code"),)),
    command=("train",),
    entrypoint=("/venvs/a/bin/python", "-m"),
    environment={"K": "v"},
    isolated=True,
    cpus=1.5,
    memory_mb=512,
    gpus=(0, 2),
    ports=(8080,),
    labels={"component": "training"},
    pipes=(Pipe("algo-1", "train", ((Path("/o/1"), '{"label": 1}'), (Path("/o/2"), "text")), True, "RecordIO", 3),),
    sync=(Sync(Path("/l"), Path("/r")),),
    notes=("a note",),
)


def test_a_spec_survives_json() -> None:
    assert JobSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_the_smallest_spec_survives_json() -> None:
    small = JobSpec("j", Path("/d"), (HostSpec("algo-1", Path("/d/m")),), ImageRef("i"), ())
    assert JobSpec.from_json(json.loads(json.dumps(small.to_json()))) == small


def test_an_exit_survives_json() -> None:
    ended = Exit({"algo-1": HostExit(137, 9, oom=True), "algo-2": HostExit(None)}, "stopped", 1.5, 2.5, "m", "c")
    assert Exit.from_json(json.loads(json.dumps(ended.to_json()))) == ended
    assert not ended.ok
    assert Exit({"algo-1": HostExit(0)}, "exited").ok
