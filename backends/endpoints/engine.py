"""An endpoint's life, in one thread: make the containers what the document says, publish them, tend them.

`run.state` holds deployments: which containers were started for which configuration. It is saved before each start, so
that a restarted server finds every container again, and a killed one leaves none unknown.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.lifecycle import transition
from backends.core.work import forget
from backends.endpoints import fleet as fleets
from backends.endpoints.asynchronous import QUEUE
from backends.endpoints.deployment import Deployment, DeploymentError
from backends.endpoints.fleet import log_group
from backends.endpoints.status import ENDPOINT, ENDPOINT_CONFIG, summary
from backends.jobs.admission import Allotment
from backends.jobs.drivers import drives
from backends.jobs.kinds import Shown
from backends.jobs.run import Run, ServerStopping
from backends.jobs.service import RestartPolicy
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.endpoints.fleet import Fleet

log = logging.getLogger(__name__)
SHOWN = Shown("Endpoint", log_group("{name}"), ended=("Failed",))
TEND_S = 0.5
DRAIN_S = 60.0
RESTART = RestartPolicy(pause_s=5.0)


def give_up(run: Run, reason: str) -> None:
    """Settle an endpoint whose driver failed again and again, so that it can be deleted; its containers stay.

    Creating becomes Failed and Updating becomes InService, both with the reason; InService stays. The row stays on the
    queue: whatever is asked of the endpoint next, and the next start of the server, gives it a driver again.
    """
    log.error("endpoint %s has no driver any more: %s", run.arn, reason)
    endpoint, error = _Endpoint(run), DeploymentError(reason)
    endpoint.fail(error)
    endpoint.roll_back(error)


def held_gpus(run: Run) -> dict[str, Allotment]:
    """Return the GPUs that an endpoint's instances hold, after a restart."""
    kept = [run.state.get(which) for which in ("next", "old", "current")]
    return {
        holder: Allotment(run.cx.account, 0, tuple(gpus))
        for state in kept
        if state
        for holder, gpus in Deployment(run, "", state).gpus().items()
    }


@drives("endpoint", ENDPOINT, listener="endpoints.engine.enqueue", fail=give_up, adopt=held_gpus)
def drive(run: Run) -> None:
    """Carry an endpoint from its creation to its deletion."""
    endpoint = _Endpoint(run)
    row = endpoint.row()
    if row is None or row.status == "Deleting":
        endpoint.delete(row)  # nothing needs to serve again for this
        return
    endpoint.resume()
    while True:
        run.was_notified()
        row = endpoint.row()
        if row is None or row.status == "Deleting":
            endpoint.delete(row)
            return
        if row.status == "Creating":
            endpoint.create(row)
        elif row.status == "Updating":
            endpoint.update(row)
        elif row.status == "InService":
            endpoint.tend()
        run.wait(TEND_S if row.status == "InService" else 0.05 if row.status != "Failed" else 3600)


class _Endpoint:
    """One endpoint's deployments: the one that serves (`current`) and the one that is coming up (`next`)."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.key = (run.cx.account, run.cx.region, run.state["name"])

    def row(self) -> Row | None:
        return self.run.find(ENDPOINT)

    def _deployment(self, which: str) -> Deployment | None:
        state = self.run.state.get(which)
        return Deployment(self.run, which, state) if state else None

    def resume(self) -> None:
        """After a restart: take away a half-made deployment, and publish what still serves."""
        for which in ("next", "old"):
            half = self._deployment(which)
            if half is not None:
                half.find_started()
                half.stop()
                self.run.save(**{which: None})
        current = self._deployment("current")
        if current is not None:
            try:
                current.find_started()
                current.revive()
            except DeploymentError:
                log.exception("endpoint %s: it could not be started again; it is tried again", self.run.arn)
            self._publish(current)

    def _serves(self, config: str) -> bool:
        """Return whether a configuration has arrived already: the server was killed before it could write so."""
        current = self._deployment("current")
        return current is not None and current.config == config

    def _publish(self, deployment: Deployment) -> None:
        config = self.run.cx.look(lambda cx: ENDPOINT_CONFIG.find(cx, deployment.config))
        fleet = deployment.fleet()
        fleet.async_config = config.document.get("AsyncInferenceConfig") if config is not None else None
        fleets.fleets(self.run.kernel)[self.key] = fleet

    def _deploy(self, config: str) -> Deployment:
        """Bring a configuration up beside whatever serves. DeploymentError when it does not become healthy."""
        made = Deployment.prepared(self.run, "next", config)
        try:
            made.start()
        except ServerStopping:
            raise  # the next server takes it away
        except Exception:
            made.stop()
            self.run.save(next=None)
            raise
        return made

    def create(self, row: Row) -> None:
        """First deployment: InService, or Failed with the reason."""
        try:
            if not self._serves(row.document["EndpointConfigName"]):
                self._switch(self._deploy(row.document["EndpointConfigName"]))
        except ServerStopping:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the endpoint must not stay Creating
            self.fail(error)
            return
        self._arrive()

    def update(self, row: Row) -> None:
        """Another configuration, or other weights and counts of the same one."""
        pending = row.document.get("PendingDeploymentSummary")
        try:
            if pending is not None and not self._serves(pending["EndpointConfigName"]):
                self._switch(self._deploy(pending["EndpointConfigName"]))
            elif pending is None:
                self._rescale(row)
        except ServerStopping:
            raise
        except Exception as error:  # noqa: BLE001 - what served serves on
            self.roll_back(error)
            return
        self._arrive()

    def _switch(self, made: Deployment) -> None:
        """Let the new deployment serve, then let the old one run dry and stop it."""
        old, served_by = self._deployment("current"), fleets.fleets(self.run.kernel).get(self.key)
        self._publish(made)
        self.run.save("serving", current=made.state, next=None, old=self.run.state.get("current"))
        if old is not None:
            self._drain(served_by)
            old.stop()
        self.run.save(old=None)

    def _drain(self, served_by: Fleet | None) -> None:
        """Wait until a fleet that is no longer published has answered what it was asked."""
        deadline = time.monotonic() + DRAIN_S
        while served_by is not None and served_by.outstanding() and time.monotonic() < deadline:
            self.run.check()
            time.sleep(0.01)

    def _rescale(self, row: Row) -> None:
        current, served_by = self._deployment("current"), fleets.fleets(self.run.kernel).get(self.key)
        assert current is not None
        for variant in row.document["ProductionVariants"]:
            current.set_weight(variant["VariantName"], variant["DesiredWeight"])
            current.scale(variant["VariantName"], variant["DesiredInstanceCount"])
        self.run.save(current=current.state)
        self._publish(current)
        if current.has_surplus():
            self._drain(served_by)
            current.stop_surplus()

    def _arrive(self) -> None:
        """Write InService, with what now serves."""
        current = self._deployment("current")
        assert current is not None
        variants = []
        for variant in current.variants():
            images = current.images(variant["VariantName"], self.run.cx.clock.now())
            weight, count = current.weight(variant["VariantName"]), current.count(variant["VariantName"])
            shown = summary(variant, DeployedImages=images, CurrentWeight=weight, DesiredWeight=weight)
            variants.append(shown | {"CurrentInstanceCount": count, "DesiredInstanceCount": count})
        shown = {"ProductionVariants": variants, "EndpointConfigName": current.config, "PendingDeploymentSummary": None}
        self._move({"Creating", "Updating"}, "InService", **shown)

    def fail(self, error: Exception) -> None:
        """Write Failed with the reason, if the endpoint is still being created."""
        self._move({"Creating"}, "Failed", reason_of(error))

    def roll_back(self, error: Exception) -> None:
        """Let what served serve on after an update that failed, and show the reason. Nothing unless Updating."""
        reason = reason_of(error)
        self._move({"Updating"}, "InService", reason, FailureReason=reason, PendingDeploymentSummary=None)

    def _move(self, before: set[str], to: str, reason: str = "", **changes: Any) -> None:
        """Write a status, where the endpoint still has one of `before`."""

        def work(cx: Context) -> None:
            row = ENDPOINT.find_arn(cx, self.run.arn)
            if row is not None and row.status in before:
                transition(cx, ENDPOINT, row, to, reason, **changes)

        self.run.cx.write(work)

    def tend(self) -> None:
        """Carry logs over; start again what died."""
        current = self._deployment("current")
        if current is None:
            return
        current.pump()
        dead = [instance for instance in current.dead() if not RESTART.wait_s(instance)]
        if dead:
            log.warning("endpoint %s: %d instance(s) died and are started again", self.run.arn, len(dead))
            for instance in dead:
                RESTART.count(instance)
            try:
                current.replace(dead)
            except DeploymentError:
                log.exception("endpoint %s: an instance could not be started again", self.run.arn)
            self.run.save(current=current.state)
            self._publish(current)

    def delete(self, row: Row | None) -> None:
        """Stop everything and forget the endpoint."""
        fleets.fleets(self.run.kernel).pop(self.key, None)
        for which in ("next", "current", "old"):
            deployment = self._deployment(which)
            if deployment is not None:
                deployment.find_started()
                deployment.pump()
                deployment.stop()

        def work(cx: Context) -> None:
            if row is not None and (endpoint := ENDPOINT.find_arn(cx, self.run.arn)) is not None:
                ENDPOINT.delete(cx, endpoint)
                # A later endpoint of this name must not be asked what was meant for this one.
                forget(cx, QUEUE, endpoint.arn)
            self.run.finish_in(cx)

        beneath.remove(self.run.kernel.settings.data_dir / "jobs" / self.run.id)
        self.run.cx.write(work)


def reason_of(error: Exception) -> str:
    """Return the sentence that FailureReason shows; what nobody expected is a fault of ours, and is logged."""
    if isinstance(error, errors.AwsError):
        return error.message
    if isinstance(error, DeploymentError):
        return str(error)
    log.error("a deployment failed", exc_info=error)
    return f"InternalServerError: {type(error).__name__}: {error}"
