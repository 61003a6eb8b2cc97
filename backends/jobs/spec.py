"""What a job is to a runner: one frozen document for all its hosts, and what its end looks like.

Everything round-trips through JSON (`to_json`, `from_json`), because the queue stores a spec in the database and a
restarted server reads it back. Times are epoch seconds (UTC), paths are absolute paths of this machine.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

RecordWrapper = Literal["None", "RecordIO"]
Reason = Literal["exited", "stopped", "killed", "start-failed", "lost"]


PROCESSES = 4096
"""Processes and threads of one host; servers with a worker per CPU, a thread pool each and a JVM need several hundred."""

QUIET = {"ORT_DISABLE_TELEMETRY": "1"}
"""What every job finds in its environment so that the libraries of our recipes report to nobody: ONNX Runtime (1.32, on Linux
too) asks for a host of its maker's as soon as it is imported. The request's own variables win."""


@dataclass(frozen=True)
class Mount:
    """A file or directory of this machine that a host sees at `target` (an absolute path inside the job)."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class HostSpec:
    """One host of a job. `opt_ml` is mounted writable at /opt/ml; `environment` is added to the job's own."""

    name: str
    opt_ml: Path
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageRef:
    """What the job runs in: a Docker image, a Python environment, or both when a recipe gives both.

    `venv` is a virtual environment; `paths` are further read-only paths that the process runner shows to the job at
    their own place; `python_path` goes in front of PYTHONPATH (and its directories are shown to the job).
    """

    docker: str | None = None
    venv: Path | None = None
    paths: tuple[Path, ...] = ()
    python_path: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Pipe:
    """A Pipe-mode channel: FIFO `<opt_ml>/<folder>/<channel>_<epoch>` for each epoch (training.md section 5).

    `entries` are what a shuffle moves: an object is an entry of one part, a line of an augmented manifest an entry of
    one part per attribute. A part is a file whose bytes are sent, or a literal text. With `RecordIO` each part is one
    record. `gzip`: files are gunzipped on the way. `shuffle_seed`: entries are shuffled anew at every epoch.
    """

    host: str
    channel: str
    entries: tuple[tuple[Path | str, ...], ...]
    gzip: bool = False
    record_wrapper: RecordWrapper = "None"
    shuffle_seed: int | None = None
    folder: str = "input/data"


@dataclass(frozen=True)
class Sync:
    """`local` (a directory the job writes: checkpoints, say) is mirrored into `remote`, a directory of the server's.

    Files that were in `local` at the start count as already there; only what this host put there is ever deleted.
    """

    local: Path
    remote: Path


@dataclass(frozen=True)
class JobSpec:
    """One job with all its hosts.

    `id` is unique, and safe as a file name and as a Docker label and network name. `directory` is the job's own; the
    supervisor's files live in `<directory>/supervisor/`. `entrypoint` None keeps a Docker image's ENTRYPOINT and
    appends `command` to it (training.md section 1); the process runner then runs `command` alone. `isolated`: no
    network but between the job's own hosts. `ports` are container ports that the server will talk to. `gpus` are device
    indexes; a job without any sees none. `processes`: how many processes and threads each host may have. `volume_bytes`:
    what each host may write, with what it was given (VolumeSizeInGB); more fails the job. `failure_grace_s`: what the other hosts are given when one has failed.
    """

    id: str
    directory: Path
    hosts: tuple[HostSpec, ...]
    image: ImageRef
    command: tuple[str, ...]
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False
    cpus: float | None = None
    memory_mb: int | None = None
    shm_mb: int | None = None
    processes: int | None = PROCESSES
    volume_bytes: int | None = None
    gpus: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    pipes: tuple[Pipe, ...] = ()
    sync: tuple[Sync, ...] = ()
    notes: tuple[str, ...] = ()
    failure_grace_s: float = 30.0

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON values."""
        document = _plain(dataclasses.asdict(self))
        document["pipes"] = [
            {**_plain(dataclasses.asdict(pipe)), "entries": [[_part(p) for p in entry] for entry in pipe.entries]}
            for pipe in self.pipes
        ]
        return dict(document)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> JobSpec:
        """Read what `to_json` gave."""
        image = document["image"]
        values = {
            **document,
            "directory": Path(document["directory"]),
            "hosts": tuple(_host(host) for host in document["hosts"]),
            "image": ImageRef(
                image["docker"],
                _path(image["venv"]),
                tuple(map(Path, image["paths"])),
                tuple(map(Path, image["python_path"])),
            ),
            "command": tuple(document["command"]),
            "entrypoint": None if document["entrypoint"] is None else tuple(document["entrypoint"]),
            "gpus": tuple(document["gpus"]),
            "ports": tuple(document["ports"]),
            "notes": tuple(document["notes"]),
            "pipes": tuple(_pipe(pipe) for pipe in document["pipes"]),
            "sync": tuple(Sync(Path(sync["local"]), Path(sync["remote"])) for sync in document["sync"]),
        }
        return cls(**values)


@dataclass(frozen=True)
class HostExit:
    """How one host ended. `code` is 128 + the signal's number when a signal ended it; None when it never ran."""

    code: int | None
    signal: int | None = None
    oom: bool = False


@dataclass(frozen=True)
class Exit:
    """How a job ended.

    `reason`: "exited" of itself, "stopped" or "killed" on request, "start-failed" (see `message`; `code` is AWS's word
    for it, such as CapacityError), "lost" when its supervisor vanished without a record.
    """

    hosts: Mapping[str, HostExit]
    reason: Reason
    started_at: float | None = None
    ended_at: float | None = None
    message: str = ""
    code: str = ""

    @property
    def ok(self) -> bool:
        """Return whether every host exited with 0."""
        return bool(self.hosts) and all(host.code == 0 for host in self.hosts.values())

    def to_json(self) -> dict[str, Any]:
        """Return the exit as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Exit:
        """Read what `to_json`, or the supervisor, gave."""
        return cls(**{**document, "hosts": {name: HostExit(**host) for name, host in document["hosts"].items()}})


def _plain(value: Any) -> Any:
    """Turn paths into strings and tuples into lists, all the way down."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _part(part: Path | str) -> dict[str, str]:
    return {"path": str(part)} if isinstance(part, Path) else {"text": part}


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _host(document: Mapping[str, Any]) -> HostSpec:
    mounts = tuple(Mount(Path(m["source"]), m["target"], m["read_only"]) for m in document["mounts"])
    return HostSpec(document["name"], Path(document["opt_ml"]), mounts, document["environment"])


def _pipe(document: Mapping[str, Any]) -> Pipe:
    entries = tuple(
        tuple(Path(part["path"]) if "path" in part else part["text"] for part in entry) for entry in document["entries"]
    )
    return Pipe(**{**document, "entries": entries})
