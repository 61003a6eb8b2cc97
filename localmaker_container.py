"""`LocalMakerContainer`: the server's image under Testcontainers, as a context manager. Manual: docs/testing.md.

Needs the extra `localmaker[testcontainers]` and a Docker engine.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from testcontainers.core.container import DockerContainer

from localmaker_client import ACCOUNT, DIRECT, REGION, TIMEOUT_S, LocalMaker

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = "4566/tcp"
LOOPBACK = "127.0.0.1"
SOCKET = "/var/run/docker.sock"
READY_S = 120.0
POLL_S = 0.05


class LocalMakerContainer(DockerContainer):
    """A server in a container, answering and with its init scripts done once the block is entered.

    `runner="docker"` mounts the engine's socket: jobs are containers beside it, and the server can do to the engine
    what root can. `runner="process"` mounts nothing: jobs are processes inside, so no image of your own can be used.
    The port is published on `bind` only: where the engine is on another machine, give "0.0.0.0" and mind who can reach it. `init` is a folder on the engine's machine, with `ready.d` in it.
    """

    def __init__(
        self,
        image: str = "localmaker/server",
        *,
        runner: str = "docker",
        settings: Mapping[str, str] | None = None,
        init: Path | None = None,
        bind: str = LOOPBACK,
        ready_s: float = READY_S,
        **options: Any,
    ) -> None:
        super().__init__(image, **options)
        self.with_envs(LOCALMAKER_RUNNER=runner, **(settings or {})).with_kwargs(init=True)
        if runner != "process":
            self.with_volume_mapping(SOCKET, SOCKET, "rw")
        if init is not None:
            self.with_volume_mapping(str(init.absolute()), "/etc/localmaker/init", "ro")
        # The server is for this machine, and testcontainers would publish it on every address. docker-py takes a pair.
        self.ports[PORT] = (bind, None)  # type: ignore[assignment]
        self._bind, self._ready_s = bind, ready_s
        self._served: LocalMaker | None = None

    def start(self) -> Self:
        """Start it and wait until it answers and its init scripts have ended; RuntimeError, with its log, when not."""
        super().start()
        url = self._published()
        self._wait(url)
        self._served = LocalMaker(url, Path(tempfile.mkdtemp(prefix="localmaker-")), elsewhere=True)
        return self

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        """End its jobs, which would outlive it, and remove it."""
        served, self._served = self._served, None
        try:
            if served is not None:
                served.reset()
        except OSError:
            pass  # it has ended by itself
        finally:
            super().stop(force, delete_volume)
            if served is not None:
                shutil.rmtree(served.data_dir, ignore_errors=True)

    @property
    def served(self) -> LocalMaker:
        """The server, with all that the pytest fixture `localmaker` has."""
        if self._served is None:
            raise RuntimeError("the container is not started")
        return self._served

    @property
    def url(self) -> str:
        """The endpoint."""
        return self.served.url

    @property
    def exports(self) -> dict[str, str]:
        """All that `localmaker env` exports for this server (`env` is what the container itself gets)."""
        return self.served.env

    def client(self, service: str, *, account: str = ACCOUNT, region: str = REGION, **options: Any) -> Any:
        """Return a boto3 client; `options` go to boto3 as they are."""
        return self.served.client(service, account=account, region=region, **options)

    def _published(self) -> str:
        """Return the URL of the published port; on another machine, or from a container, Testcontainers knows the host."""
        if self._bind != LOOPBACK:
            return f"http://{self.get_container_host_ip()}:{self.get_exposed_port(4566)}"
        container = self.get_wrapped_container()
        container.reload()
        return f"http://{LOOPBACK}:{container.ports[PORT][0]['HostPort']}"

    def _wait(self, url: str) -> None:
        deadline = time.monotonic() + self._ready_s
        told: dict[str, Any] = {}
        while time.monotonic() < deadline and self.get_wrapped_container().status != "exited":
            try:
                with DIRECT.open(f"{url}/_localmaker/init", timeout=TIMEOUT_S) as answer:
                    told = json.load(answer)
            except OSError:
                pass
            if told and all(told["completed"].values()):
                failed = [script["name"] for script in told["scripts"] if script["state"] == "ERROR"]
                if not failed:
                    return
                raise RuntimeError(f"init scripts failed: {', '.join(failed)}\n{self._log()}")
            time.sleep(POLL_S)  # another process: there is nothing to wait on
            self.get_wrapped_container().reload()
        raise RuntimeError(f"LocalMaker did not start:\n{self._log()}")

    def _log(self) -> str:
        return "\n".join(part.decode(errors="replace") for part in self.get_logs())[-4000:]
