"""How a component's jobs come to be driven: queued when their resource is created, and ended by their resource's words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from backends.core.lifecycle import transition
from backends.core.types import Subscription
from backends.jobs import queue
from backends.jobs.run import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.resource import Resource
    from backends.jobs.admission import CapacityError
    from backends.jobs.run import Run

Driven = TypeVar("Driven", bound="Callable[..., Any]")


def drives(
    kind: str, resource: Resource | None = None, *, listener: str = "", **how: Any
) -> Callable[[Driven], Driven]:
    """Mark `def drive(run)` as what carries a kind of job from its row to its end; the rest is as `Driver` has it.

    With a `resource` each one is queued when it is created. What is not given then ends it by the words of its machine: it
    is Failed where driving it raises again and again or this machine can never admit it, and Stopped where it is Stopping
    while it waits. `listener`: the name of what hears of it, where `<kind>.engine.enqueue` is not it.
    """
    if resource is not None:
        how = {
            "fail": partial(_fail, resource),
            "refuse": partial(_refuse, resource),
            "look": partial(_look, resource),
            **how,
        }

    def mark(drive: Driven) -> Driven:
        return driven_by(drive, Driver(kind, drive, **how), resource, listener)

    return mark


def driven_by(target: Driven, driver: Driver, resource: Resource | None, listener: str = "") -> Driven:
    """Mark a component's function or class with its driver, and with the listener that queues what is created."""
    target.drivers = (driver,)  # type: ignore[attr-defined]
    if resource is not None:
        assert resource.machine is not None
        name, first = listener or f"{driver.kind}.engine.enqueue", frozenset({next(iter(resource.machine.moves))})
        heard = Subscription(name, resource.noun, first, partial(_enqueue, driver.kind))
        target.subscriptions = (heard,)  # type: ignore[attr-defined]
    return target


def _enqueue(kind: str, cx: Context, event: Event) -> None:
    if not event.old:  # a service that was stopped comes to its first status again, and is queued still
        queue.add(cx, kind, event.arn, {"name": event.detail["name"]}, caller=event.caller)


def end(run: Run, resource: Resource, status: str, reason: str = "", **changes: Any) -> None:
    """Write a job's last status, in any case of its letters, and remove it from the queue, at once.

    One that is not to be reached any more, since a stop was acknowledged in the meantime, becomes Stopped; what has ended
    already, or is gone, stays as it is.
    """
    assert resource.machine is not None
    states = resource.machine

    def work(cx: Context) -> None:
        row = resource.find_arn(cx, run.arn)
        last = "" if row is None else states.next_like(row.status, status) or states.next_like(row.status, "Stopped")
        if row is not None and last:
            transition(cx, resource, row, last, reason, **changes)
        run.finish_in(cx)

    run.cx.write(work)


def _fail(resource: Resource, run: Run, reason: str) -> None:
    end(run, resource, "Failed", reason)


def _refuse(resource: Resource, run: Run, error: CapacityError) -> None:
    end(run, resource, "Failed", error.reason("the job"))


def _look(resource: Resource, run: Run) -> None:
    row = run.find(resource)
    if row is None or row.status.lower() == "stopping":
        end(run, resource, "Stopped")
