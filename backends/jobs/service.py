"""One service: a container that runs on and answers at a port, from its start to its removal.

A `Service` is a name for what its `record` says, a dict of plain JSON in the `run.state` of whoever drives it (an endpoint
has many, `service_job.py` drives exactly one). The driver saves the record before it starts the service, so that a server
that is killed anywhere finds the container again by `find_started`. Times are seconds, and real: processes know no other.
"""

from __future__ import annotations

import http.client
import socket
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.core import keys
from backends.jobs import logs, places
from backends.jobs.queue import DISPATCHER
from backends.jobs.runners.base import Handle, StartError
from backends.jobs.settings import SETTINGS
from backends.jobs.specify import ContainerRequest, job_spec
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.instances import Instance
    from backends.jobs.places import Place
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Runner
    from backends.jobs.spec import Exit, HostSpec

STOP_GRACE_S = 30.0
HANG_UP_S = 0.2
PUMP_S = 1.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A service is healthy when `GET path` answers 200; without a path, when its port is open. `startup_s`: until when first."""

    port: int
    path: str = ""
    startup_s: float = 240.0
    timeout_s: float = 2.0
    interval_s: float = 0.05

    def passes(self, address: tuple[str, int]) -> bool:
        """Return whether a service at an address is healthy now."""
        return self._answers(*address) if self.path else self._is_open(address)

    def _answers(self, host: str, port: int) -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _is_open(self, address: tuple[str, int]) -> bool:
        """Connect; a relay in front of a port accepts before the service does, but hangs up then."""
        try:
            with socket.create_connection(address, self.timeout_s) as connection:
                connection.settimeout(HANG_UP_S)
                return bool(connection.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When what ended is started again: the first time at once, then after `pause_s`, doubled up to `longest_pause_s`.

    `most`: after so many restarts it has failed; None: it never has. `reset_s` after its last restart a service counts as new.
    """

    pause_s: float = 1.0
    longest_pause_s: float = 60.0
    most: int | None = None
    reset_s: float = 600.0

    def wait_s(self, record: dict[str, Any]) -> float:
        """Return how long a restart has to wait yet."""
        return max(0.0, float(record.get("restart_at", 0.0)) - time.time())

    def is_exhausted(self, record: dict[str, Any]) -> bool:
        """Return whether a service was restarted as often as it may be."""
        return self.most is not None and self._restarts(record) >= self.most

    def count(self, record: dict[str, Any]) -> None:
        """Count, in a service's record, a restart that is made now."""
        restarts = self._restarts(record) + 1
        pause_s = min(self.pause_s * 2.0 ** min(restarts - 1, 30), self.longest_pause_s)
        record.update(restarts=restarts, restart_at=time.time() + pause_s)

    def _restarts(self, record: dict[str, Any]) -> int:
        is_new = time.time() - float(record.get("restart_at", 0.0)) > self.reset_s
        return 0 if is_new else int(record.get("restarts", 0))


class Service:
    """One service: its record has `job`, `host`, `runner` (empty while it is not started).

    `to`: where its lines go; None for nowhere, when whose it was is gone.
    """

    def __init__(self, run: Run, record: dict[str, Any], to: logs.Destination | None) -> None:
        self.run, self.record, self._to = run, record, to

    @property
    def job(self) -> str:
        """Its name to its runner, and the session of its role's keys: another one at each start."""
        return str(self.record["job"])

    @property
    def is_started(self) -> bool:
        """Whether it was started and has not been removed; it may have ended."""
        return bool(self.record["runner"])

    @property
    def directory(self) -> Path:
        """The directory of its files, removed with it."""
        return self.run.kernel.settings.data_dir / "jobs" / self.run.id / self.job

    @property
    def _handle(self) -> Handle:
        return Handle(self.job, self.directory, self.record["runner"])

    @property
    def _runner(self) -> Runner:
        return places.runner(self.run.kernel, self.record["runner"])

    def log(self, text: str) -> None:
        """Write a line of ours into its log."""
        to = self._to
        if to is not None:
            self.run.cx.write(lambda cx: logs.log_line(cx, to, self.record["host"], text))

    def request(self, host: HostSpec, kind: Instance, **others: Any) -> ContainerRequest:
        """Return the request of its one container; the members that follow from the record are filled in."""
        return ContainerRequest(
            job=self.job,
            directory=self.directory,
            hosts=(host,),
            arn=self.run.arn,
            instance=kind,
            session=self.job,
            **others,
        )

    def start(self, place: Place, lay_out: Callable[[], ContainerRequest]) -> None:
        """Start it at a place, in an empty directory that `lay_out` fills. StartError when it cannot be started."""
        beneath.remove(self.directory)
        spec = job_spec(self.run.cx, place, lay_out(), self.log)
        self.record["runner"] = place.runner.start(spec).runner

    def find_started(self) -> bool:
        """Find what a killed server had started and not yet written down; return whether it is not known to be healthy."""
        if self.is_started:
            return False
        self.record["runner"] = places.runner_of(self.run.kernel, self.job)
        return True

    def exit(self) -> Exit | None:
        """Return how it ended; None while it runs."""
        return self._runner.poll(self._handle)

    def has_ended(self) -> bool:
        """Return whether it does not run."""
        return not self.is_started or self.exit() is not None

    def address(self, port: int) -> tuple[str, int] | None:
        """Return the (ip, port) at which this server reaches one of its ports; None where it does not run."""
        if not self.is_started:
            return None
        return self._runner.address(self._handle, self.record["host"], port)

    def wait_healthy(self, health: HealthCheck, check: Callable[[], None]) -> bool:
        """Wait until it is healthy; False when it ends or the start-up window does. `check` raises what ends the wait."""
        pumped = time.monotonic()
        deadline = pumped + health.startup_s
        while (now := time.monotonic()) < deadline:
            check()
            if now - pumped > PUMP_S:
                self.pump()
                pumped = now
            if self.has_ended():
                return False
            address = self.address(health.port)
            if address is not None and health.passes(address):
                return True
            time.sleep(health.interval_s)
        return False

    def pump(self) -> None:
        """Carry over the lines it has written since the last call."""
        if self.is_started and self._to is not None:
            logs.pump(self.run, self._runner, self._handle, self._to)


def new_job(prefix: str) -> str:
    """Return the name of a service that is to be started: a runner takes each name once."""
    return f"{prefix}-{uuid.uuid4().hex[:17]}"


def take_gpus(run: Run, holder: str, kind: Instance) -> list[int]:
    """Take the GPUs of an instance type, or those that the holder has already. StartError when too few are free."""
    if not kind.gpus or SETTINGS.of(run.kernel).gpu == "cpu":
        return []
    dispatcher = DISPATCHER.of(run.kernel)
    taken = dispatcher.take_gpus(holder, run.cx.account, kind.gpus)
    if taken is None:
        raise StartError(
            f"an instance of {kind.name} asks for {kind.gpus} GPU(s) and this machine has "
            f"{dispatcher.gpu_count}, not enough of them free. "
            "Set LOCALMAKER_GPU=cpu to serve GPU instance types on the CPU.",
            "CapacityError",
        )
    return list(taken)


def stop(services: Iterable[Service], grace_s: float = STOP_GRACE_S) -> None:
    """Stop services together (SIGTERM, SIGKILL after the grace), end their keys, and remove all that is left of them."""
    known = list(services)
    if not known:
        return
    started = [service for service in known if service.is_started]
    for service in started:
        service._runner.stop(service._handle, grace_s)  # noqa: SLF001
    for service in started:
        service._runner.wait(service._handle, grace_s + 5)  # noqa: SLF001
        service.pump()
    for service in started:
        service._runner.remove(service._handle)  # noqa: SLF001
    for service in known:
        beneath.remove(service.directory)
    run = known[0].run

    def work(cx: Context) -> None:
        for service in known:
            keys.end_sessions(cx, service.job)

    run.cx.write(work)
    logs.forget(run, [service.job for service in known])
