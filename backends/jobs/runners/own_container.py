"""The server's own container, when it runs in one: where its directories are for the engine, and its name for jobs.

The engine mounts directories of its own machine into jobs, so the server's data directory must be a mount whose place
there is known; and a job reaches the server only over a network that both are in.
Source: Docker Engine API v1.41, ContainerInspect; proc(5), mountinfo.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.jobs.supervisor.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.jobs.supervisor.engine import Engine

MOUNTINFO = Path("/proc/self/mountinfo")
# The engine mounts a file of the container's own folder over /etc/hostname. Other containers' folders show up on the
# engine's machine too, but never over that name.
_HOSTNAME = re.compile(r"^\S+ \S+ \S+ \S*/containers/(?P<id>[0-9a-f]{64})/hostname /etc/hostname ", re.MULTILINE)


@dataclass(frozen=True)
class OwnContainer:
    """The container that this process runs in. `host_paths`: mounted directory -> where the engine's machine has it."""

    id: str
    host_paths: Mapping[Path, Path]

    def host_path(self, path: Path) -> Path | None:
        """Return where the engine's machine has a path of ours; None when it is not on a mount."""
        for inside in sorted(self.host_paths, key=lambda mount: len(mount.parts), reverse=True):
            if path.is_relative_to(inside):
                return self.host_paths[inside] / path.relative_to(inside)
        return None

    def connection(self, alias: str) -> dict[str, Any]:
        """Return the body of the call that lets a network's members find this server under `alias`."""
        return {"Container": self.id, "EndpointConfig": {"Aliases": [alias]}}


def own_id(mountinfo: str) -> str:
    """Read the id of the container that a process is in from its mounts; empty outside of Docker."""
    matched = _HOSTNAME.search(mountinfo)
    return matched["id"] if matched is not None else ""


def find(engine: Engine, mountinfo: Path = MOUNTINFO) -> OwnContainer | None:
    """Find the container of `engine` that this process is in; None when it is in none, or in another engine's.

    Raises EngineError when the engine has to be asked and does not answer.
    """
    container = own_id(mountinfo.read_text(encoding="utf-8")) if mountinfo.exists() else ""
    if not container:
        return None
    try:
        inspected = engine.call("GET", f"/containers/{container}/json")
    except EngineError as error:
        if error.status:  # an engine beside us, or within: it does not know where we are
            return None
        raise
    mounts = {Path(m["Destination"]): Path(m["Source"]) for m in inspected["Mounts"] if m["Type"] in {"bind", "volume"}}
    return OwnContainer(inspected["Id"], mounts)


def join(engine: Engine, network: str, connection: dict[str, Any]) -> None:
    """Put the server into a network; being there already is fine."""
    with contextlib.suppress(EngineError):
        engine.call("POST", f"/networks/{network}/connect", connection)
