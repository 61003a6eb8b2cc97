"""Where a containerised server's directories are for its engine. The whole of it runs in tests/test_server_image.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backends.jobs.runners import own_container
from backends.jobs.supervisor.engine import Engine, EngineError

if TYPE_CHECKING:
    from backends.jobs.runners.own_container import OwnContainer

ID, OTHER = "ab" * 32, "cd" * 32
ROOT = "23 1 0:20 / / rw - overlay overlay rw\n"
INSIDE = f"31 23 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
BESIDE = f"40 23 0:50 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw\n"


class ScriptedEngine(Engine):
    """An engine that knows one container, or does not answer."""

    def __init__(self, known: dict[str, Any], status: int = 404) -> None:
        super().__init__("unix:///nowhere")
        self.known, self.status = known, status

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Answer an inspection."""
        del body
        assert method == "GET"
        if path in self.known:
            return self.known[path]
        raise EngineError(self.status, "no such container")


def find(tmp_path: Path, text: str, engine: Engine) -> OwnContainer | None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(text)
    return own_container.find(engine, mountinfo)


def test_the_id_is_that_of_the_container_around_us_and_of_no_other() -> None:
    assert own_container.own_id(ROOT + BESIDE + INSIDE) == ID
    assert own_container.own_id(ROOT + BESIDE) == ""


def test_mounts_are_found_by_the_engines_own_account(tmp_path: Path) -> None:
    mounts = [
        {"Type": "volume", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/data"},
        {"Type": "bind", "Source": "/home/me/cache", "Destination": "/data/cache"},
        {"Type": "tmpfs", "Source": "", "Destination": "/data/fleeting"},
    ]
    engine = ScriptedEngine({f"/containers/{ID}/json": {"Id": ID, "Mounts": mounts}})
    seen = find(tmp_path, ROOT + INSIDE, engine)
    assert seen is not None
    assert seen.host_path(Path("/data/jobs/1")) == Path("/var/lib/docker/volumes/data/_data/jobs/1")
    assert seen.host_path(Path("/data/cache/x")) == Path("/home/me/cache/x")
    assert seen.host_path(Path("/database")) is None
    assert seen.connection("me") == {"Container": ID, "EndpointConfig": {"Aliases": ["me"]}}


def test_outside_of_a_container_no_engine_is_asked(tmp_path: Path) -> None:
    assert find(tmp_path, ROOT + BESIDE, ScriptedEngine({}, status=0)) is None
    assert own_container.find(ScriptedEngine({}, status=0), tmp_path / "not-linux") is None


def test_an_engine_that_does_not_know_our_container_is_another_machines(tmp_path: Path) -> None:
    assert find(tmp_path, ROOT + INSIDE, ScriptedEngine({})) is None


def test_an_engine_that_does_not_answer_is_asked_again_later(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        find(tmp_path, ROOT + INSIDE, ScriptedEngine({}, status=0))
