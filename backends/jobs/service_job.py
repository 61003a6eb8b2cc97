"""The service of one resource, from its creation to its deletion, whatever kind it is. Read `ServiceJob.step`.

A component derives from `ServiceJob` what differs (`service_kind.py`: its image, its directories, its health, the words of its statuses) and
registers it by `@drives_service(kind)`. What the resource's status asks for is compared with what runs, and the next step
is done; each step bears being done twice, so that a server that is killed anywhere resumes there.

A service with `idle_s` is stopped when nobody has used it for so long; its resource keeps its status, and `reached` starts
it again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from backends.core.lifecycle import transition
from backends.jobs import places, service
from backends.jobs.admission import Allotment
from backends.jobs.drivers import driven_by
from backends.jobs.queue import DISPATCHER
from backends.jobs.reach import REACHABLE
from backends.jobs.run import Driver
from backends.jobs.runners.base import StartError
from backends.jobs.service import Service
from backends.jobs.service_kind import NEW, ServiceKind
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.context import Context
    from backends.jobs.places import Place
    from backends.jobs.reach import Reach
    from backends.jobs.run import Run

log = logging.getLogger(__name__)
TEND_S = 0.5
REST_S = 3600.0


class Changed(Exception):  # noqa: N818 - how a step ends whose resource asks for something else by now
    """The resource's status does not ask for the service any more."""


class ServiceJob(ServiceKind):
    """The steps of one service."""

    @property
    def _service(self) -> Service:
        return Service(self.run, self.record, self.destination() if self.row is not None else None)

    @property
    def _reach(self) -> Reach:
        return REACHABLE.of(self.run.kernel).of(self.run.arn)

    @property
    def _status(self) -> str:
        return self.row.status if self.row is not None else ""

    def check(self) -> None:
        """Stop within a step: the server stops, or the resource asks for something else."""
        self.run.check()
        if self.run.was_notified():
            self.row = self.read_row()
        if self.row is None or not self.words.runs(self._status):
            raise Changed

    def find_place(self) -> Place:
        """Find where the service can run, making its environment or image first."""
        return places.find(self.run.kernel, self.wanted, self._service.log, self.check)

    def step(self) -> float:
        """Do what the resource's status asks for next; return how long nothing has to be done then, in seconds."""
        self.run.was_notified()
        self.row = self.read_row()
        try:
            if self.row is None or self._status in self.words.deletes:
                self._end()
            elif not self.words.runs(self._status):
                self.stop()
                self._show(self.words.stops)
                self._reach.fail(StartError(f"{self.run.arn} is {self._status}"))
            else:
                return self._serve()
        except Changed:
            return 0.0
        return REST_S

    def _serve(self) -> float:
        if self.record.get("asleep"):
            return self._sleep()
        if not self._service.is_started:
            return self._start_when_due()
        end = self._service.exit()
        if end is not None:
            codes = ", ".join(str(host.code) for host in end.hosts.values())
            return self._fail(f"The service has ended with exit code {codes}. {end.message}".strip())
        return self._tend() if self.record.get("healthy") else self._await_healthy()

    def adopt(self) -> None:
        """After a restart: find what a killed server was starting, or remove what it left."""
        if self.record["job"] and self._service.find_started():
            if self._service.is_started:
                self.run.save()
            else:
                self.stop(**self._restarts())

    def _start_when_due(self) -> float:
        pause_s = self.restart.wait_s(self.record)
        if pause_s:
            return pause_s
        if self.record.pop("failed", False):
            self.restart.count(self.record)
        made = self._service
        try:
            gpus = service.take_gpus(self.run, _holder(self.run), self.instance())
            host = next(iter(self.destination().streams))
            self.record.update(job=service.new_job(self.run.kind), host=host, gpus=gpus)
            self.run.save()
            place = self.find_place()
            made.start(place, lambda: self.lay_out(made, place))
        except StartError as error:
            return self._fail(f"{error.code}: {error.message}")
        self.run.save()
        return 0.0

    def _await_healthy(self) -> float:
        made, health = self._service, self.health
        if not made.wait_healthy(health, self.check):
            if made.has_ended():
                return 0.0
            return self._fail(f"The service was not healthy within {health.startup_s:g} seconds.")
        self.record["healthy"] = True
        self.run.save()
        return 0.0

    def _tend(self) -> float:
        """Show that the service is healthy, let it be reached, carry its lines over, and stop it when nobody uses it."""
        if self._status in self.words.starts:
            self._show(self.words.starts)
        made = self._service
        address = made.address(self.health.port)
        if address is not None:
            self._reach.open(address)
        made.pump()
        if self.idle_s is None or not self._reach.close_if_unused(self.idle_s):
            return TEND_S
        self.record["asleep"] = True
        self.run.save()
        return 0.0

    def _sleep(self) -> float:
        if self.record["job"]:
            self.stop(asleep=True)
        if not self._reach.is_wanted():
            return REST_S
        self.record["asleep"] = False
        return 0.0

    def stop(self, **record: Any) -> None:
        """Stop the service, if it runs, and remove all that is left of it; `record` is what is written down of it then."""
        self._reach.close()
        if self.record == {**NEW, **record}:
            return
        if self.record["job"]:
            service.stop([self._service], self.grace_s)
            DISPATCHER.of(self.run.kernel).release(_holder(self.run))
        self.record.clear()
        self.record.update(NEW, **record)
        self.run.save()

    def _restarts(self) -> dict[str, Any]:
        return {name: self.record[name] for name in ("restarts", "restart_at") if name in self.record}

    def _fail(self, reason: str) -> float:
        """Remove what has failed; it is started again later, unless it never served or has failed too often."""
        log.warning("%s: %s", self.run.arn, reason)
        word = self.words.fails.get(self._status)
        if word is None or not (self._status in self.words.starts or self.restart.is_exhausted(self.record)):
            self.stop(failed=True, **self._restarts())
            return 0.0
        self.stop()
        self.settle(reason)
        return REST_S

    def settle(self, reason: str) -> None:
        """Show that the service has failed, if its status can."""
        self._reach.fail(StartError(reason))
        self._show(self.words.fails, reason)

    def _show(self, words: Mapping[str, str], reason: str = "") -> None:
        seen = self._status

        def work(cx: Context) -> None:
            row = self.resource.find_arn(cx, self.run.arn)
            if row is not None and row.status == seen and seen in words:
                transition(cx, self.resource, row, words[seen], reason, **self.shown(cx, words[seen]))

        self.run.cx.write(work)

    def _end(self) -> None:
        """Stop the service for good; its resource, where it is still there, is deleted and its row leaves the queue."""
        self.stop()
        beneath.remove(self.run.kernel.settings.data_dir / "jobs" / self.run.id)

        def work(cx: Context) -> None:
            row = self.resource.find_arn(cx, self.run.arn)
            if row is not None:
                self.delete(cx, row)
            self.run.finish_in(cx)

        self.run.cx.write(work)
        REACHABLE.of(self.run.kernel).forget(self.run.arn)


def _holder(run: Run) -> str:
    return f"{run.id}-service"


# -- how the dispatcher drives a kind of service

Kind = TypeVar("Kind", bound=type[ServiceJob])


def drives_service(kind: str) -> Callable[[Kind], Kind]:
    """Mark a class derived from ServiceJob as what drives a kind of service, from the creation of its resource on."""

    def mark(job: Kind) -> Kind:
        driver = Driver(kind, lambda run: _drive(job, run), lambda run, reason: job(run).settle(reason), adopt=_adopt)
        return driven_by(job, driver, job.resource)

    return mark


def _drive(kind: type[ServiceJob], run: Run) -> None:
    """Do the steps of a service until its resource is gone."""
    job = kind(run)
    job.adopt()
    while True:
        rest_s = job.step()
        if run.is_finished:
            return
        run.wait(rest_s)


def _adopt(run: Run) -> Mapping[str, Allotment]:
    """Return the GPUs that a running service holds."""
    gpus = tuple(run.state.get("service", NEW)["gpus"])
    return {_holder(run): Allotment(run.cx.account, 0, gpus)} if gpus else {}
