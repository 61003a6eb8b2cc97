"""Statuses change only along the table, and never without their event."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from backends.core import events, lifecycle
from backends.core.errors import AwsError
from backends.core.resource import resource
from backends.core.states import machine
from backends.core.tables import deliveries
from backends.core.tables import events as event_rows
from tests.core.conftest import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.events import Event
    from backends.core.kernel import Kernel

COMPONENT = sys.modules[__name__]
JOB = resource(
    "TrainingJob",
    arn_path="training-job",
    status_member="TrainingJobStatus",
    machine=machine(InProgress={"Completed", "Failed", "Stopping"}, Stopping={"Stopped"}),
    exists="a job with this name already exists ({arn})",
    filters={
        "WarmPoolStatusEquals": "WarmPoolStatus.Status",
        "TrainingPlanArnEquals": "ResourceConfig.TrainingPlanArn",
    },
)
HEARD: list[tuple[str, str]] = []
FAILURES: dict[str, int] = {}


@events.on("TrainingJob", name="test.hear", to=("Completed", "Stopping", "Stopped"))
def listen(_cx: Context, event: Event) -> None:
    """Note what was heard; fail as often as the test wants."""
    if FAILURES.get(event.new, 0):
        FAILURES[event.new] -= 1
        raise RuntimeError("not yet")
    HEARD.append((event.arn, event.new))


@pytest.fixture(autouse=True)
def fresh() -> None:
    HEARD.clear()
    FAILURES.clear()


async def make(kernel: Kernel, name: str = "job") -> Any:
    cx = kernel.context(ACCOUNT, REGION)
    return await cx.transact(lambda inside: JOB.insert(inside, name, {"TrainingJobName": name}, status="InProgress"))


async def move(kernel: Kernel, to: str, name: str = "job", **changes: Any) -> Any:
    cx = kernel.context(ACCOUNT, REGION)
    return await cx.transact(lambda inside: lifecycle.transition(inside, JOB, JOB.get(inside, name), to, **changes))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for happens in a listener, which has no event to set
            await asyncio.sleep(0.005)


def test_a_legal_move_changes_the_document_and_writes_one_event(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        made = await make(kernel)
        row = await move(kernel, "Completed", TrainingTimeInSeconds=3)
        assert row.document["TrainingJobStatus"] == "Completed"
        assert row.document["TrainingTimeInSeconds"] == 3
        assert row.version == made.version + 1
        written = await kernel.db.read(lambda tx: tx.connection.execute(select(event_rows)).all())
        assert [(e.old, e.new) for e in written] == [("", "InProgress"), ("InProgress", "Completed")]
        assert {e.arn for e in written} == {row.arn}

    with_kernel(work, COMPONENT)


def test_an_illegal_move_is_refused_and_changes_nothing(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        await make(kernel)
        await move(kernel, "Completed")
        with pytest.raises(AwsError, match="ConflictException"):
            await move(kernel, "Stopping")
        cx = kernel.context(ACCOUNT, REGION)
        row = await cx.read(lambda inside: JOB.get(inside, "job"))
        assert row.status == "Completed"

    with_kernel(work, COMPONENT)


def test_a_stale_row_is_refused(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        old = await make(kernel)
        await move(kernel, "Stopping")
        cx = kernel.context(ACCOUNT, REGION)
        with pytest.raises(AwsError, match="ConflictException"):
            await cx.transact(lambda inside: lifecycle.transition(inside, JOB, old, "Completed"))

    with_kernel(work, COMPONENT)


def test_a_rolled_back_move_leaves_no_event(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        await make(kernel)
        cx = kernel.context(ACCOUNT, REGION)

        def half(inside: Context) -> None:
            lifecycle.transition(inside, JOB, JOB.get(inside, "job"), "Completed")
            raise ValueError

        with pytest.raises(ValueError, match=r"^$"):
            await cx.transact(half)
        written = await kernel.db.read(lambda tx: tx.connection.execute(select(event_rows)).all())
        assert [(e.old, e.new) for e in written] == [("", "InProgress")]

    with_kernel(work, COMPONENT)


def test_listeners_hear_after_the_commit_and_deliveries_end(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        await make(kernel)
        row = await move(kernel, "Completed")
        await until(lambda: (row.arn, "Completed") in HEARD)
        await asyncio.sleep(0.05)
        assert not await kernel.db.read(lambda tx: tx.connection.execute(select(deliveries)).all())

    with_kernel(work, COMPONENT)


def test_a_failing_listener_is_tried_again_and_order_is_kept(with_kernel: Callable[..., Any]) -> None:
    FAILURES["Stopping"] = 1

    async def work(kernel: Kernel) -> None:
        await make(kernel)
        await move(kernel, "Stopping")
        await move(kernel, "Stopped")
        await until(lambda: len(HEARD) == 2)
        assert [new for _, new in HEARD] == ["Stopping", "Stopped"]

    with_kernel(work, COMPONENT)


def test_an_event_written_before_a_crash_is_delivered_after_it(with_kernel: Callable[..., Any]) -> None:
    async def crash(kernel: Kernel) -> None:
        for task in kernel._tasks:  # the server dies before it delivers
            task.cancel()
        await asyncio.sleep(0)
        await make(kernel)
        await move(kernel, "Completed")

    async def later(_kernel: Kernel) -> None:
        await until(lambda: len(HEARD) == 1)

    with_kernel(crash, COMPONENT)
    assert not HEARD
    with_kernel(later, COMPONENT)


def test_a_listener_that_always_fails_is_parked(
    with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    FAILURES["Completed"] = 99
    monkeypatch.setattr(events, "MAX_ATTEMPTS", 1)

    async def work(kernel: Kernel) -> None:
        await make(kernel)
        await move(kernel, "Completed")
        parked: list[Any] = []
        async with asyncio.timeout(10):
            while not parked:
                await asyncio.sleep(0.01)
                parked = await kernel.db.read(_parked)
        assert "not yet" in parked[0]["error"]

    with_kernel(work, COMPONENT)


def _parked(tx: Transaction) -> list[Any]:
    return events.parked(tx)


def test_the_same_name_is_refused_in_one_account_and_free_in_another(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        await make(kernel)
        with pytest.raises(AwsError, match="ResourceInUse"):
            await make(kernel, "JOB")
        other = kernel.context("999900001111", REGION)
        await other.transact(lambda inside: JOB.insert(inside, "job", {}, status="InProgress"))

    with_kernel(work, COMPONENT)


def test_what_one_failing_listener_holds_up_keeps_nobody_else_waiting(with_kernel: Callable[..., Any]) -> None:
    FAILURES["Stopping"] = 4

    async def work(kernel: Kernel) -> None:
        await make(kernel, "stuck")
        await move(kernel, "Stopping", "stuck")
        cx = kernel.context(ACCOUNT, REGION)
        stuck = await cx.read(lambda inside: JOB.get(inside, "stuck").arn)
        for _ in range(3):  # more than three batches wait behind it
            await cx.transact(lambda inside: _emit(inside, stuck))
        await make(kernel, "other")
        await move(kernel, "Completed", "other")
        await until(lambda: any(new == "Completed" for _, new in HEARD))
        assert not any(arn == stuck for arn, _ in HEARD)

    with_kernel(work, COMPONENT)


def _emit(cx: Context, arn: str) -> None:
    for _ in range(events.BATCH):
        events.emit(cx, "TrainingJob", arn, "", "Stopped")


def test_parked_deliveries_can_be_retried(with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    FAILURES["Completed"] = 1
    monkeypatch.setattr(events, "MAX_ATTEMPTS", 1)

    async def work(kernel: Kernel) -> None:
        await make(kernel)
        await move(kernel, "Completed")
        count = 0
        async with asyncio.timeout(10):
            while not count:
                await asyncio.sleep(0.01)
                count = await kernel.db.write(events.retry)
        assert count == 1
        kernel.deliverer.wake()
        await until(lambda: len(HEARD) == 1)
        assert await kernel.db.read(_parked) == []

    with_kernel(work, COMPONENT)


def test_a_delivery_of_an_unknown_listener_is_kept(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        for task in kernel._tasks:
            task.cancel()
        await asyncio.sleep(0)
        await make(kernel)
        await move(kernel, "Completed")
        rename = update(deliveries).values(subscriber="of.a.newer.version")
        await kernel.db.write(lambda tx: tx.connection.execute(rename))
        await kernel.deliverer.deliver_due()
        assert [row["subscriber"] for row in await kernel.db.read(_parked)] == ["of.a.newer.version"]

    with_kernel(work, COMPONENT)


def test_old_events_go_and_those_somebody_waits_for_stay(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        for task in kernel._tasks:
            task.cancel()
        await asyncio.sleep(0)
        for name, status in (("unheard", "Failed"), ("heard", "Completed")):
            await make(kernel, name)
            await move(kernel, status, name)
        later = time.time() + events.RETENTION_S + 60
        count = await kernel.db.write(lambda tx: events.forget_old(tx, later))
        kept = await kernel.db.read(lambda tx: tx.connection.execute(select(event_rows.c.new)).scalars().all())
        assert (count, kept) == (3, ["Completed"])
        assert await kernel.db.write(lambda tx: events.forget_old(tx, time.time())) == 0

    with_kernel(work, COMPONENT)
