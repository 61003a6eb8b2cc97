"""Parents that wait, and calls as a role: nouns of the model with a component of the test's own."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, insert, select

from backends.core import calls, parents, waking, work
from backends.core.commands import Call, Change, End, Happened, Move, WakeAt
from backends.core.errors import AwsError
from backends.core.events import Event
from backends.core.lifecycle import transition
from backends.core.operation import operation
from backends.core.reset import reset as forget_account
from backends.core.resource import resource
from backends.core.states import machine
from backends.core.tables import awaited, deliveries, work_items
from backends.core.tables import parents as parent_rows
from tests import postgresql
from tests.core.conftest import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.commands import Command, State
    from backends.core.context import Context
    from backends.core.kernel import Kernel

COMPONENT = sys.modules[__name__]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
# A compilation that makes two image versions, one after the other, waits for each and then for the clock.
PARENT = resource(
    "CompilationJob",
    arn_path="compilation-job",
    status_member="CompilationJobStatus",
    machine=machine(INPROGRESS={"COMPLETED", "FAILED", "STOPPING"}, STOPPING={"STOPPED"}),
    derives=("Describe", "Stop", "Delete"),
)
CHILD = resource(
    "Image",
    arn_path="image",
    status_member="ImageStatus",
    machine=machine(CREATING={"CREATED", "CREATE_FAILED"}),
    derives=("Describe", "Delete"),
)
CALLERS: list[str] = []


@operation("CreateImage")
def create_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a child; a name that begins with `bad` is refused after it was stored."""
    CALLERS.append(cx.caller.arn)
    row = CHILD.insert(cx, request["ImageName"], request, status="CREATING")
    if request["ImageName"].startswith("bad"):
        raise AwsError("ResourceLimitExceeded", "no more images")
    return {"ImageArn": row.arn}


@operation("UpdateImage")
async def update_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer outside of a transaction."""
    await asyncio.sleep(0)
    row = await cx.read(lambda inside: CHILD.get(inside, request["ImageName"]))
    return {"ImageArn": row.arn}


@parents.waits(PARENT, children=("Image",))
def step(state: State, happened: Happened) -> tuple[State, list[Command]]:  # noqa: PLR0911 - a line for each
    """Make `state["left"]` images, an hour after the last one end."""
    if happened.what == "refused":
        return state, [Move("FAILED", f"{happened.code}: {happened.reason}"), End()]
    if happened.what == "changed" and happened.status == "STOPPING":
        return state, [Move("STOPPED"), End()]
    if happened.what == "time":
        return state, [Call("UpdateImage", {"ImageName": state["made"][-1]}, tag="outside")]
    if happened.what == "answered" and happened.tag == "outside":
        return state, [Move("COMPLETED"), End()]
    if happened.what == "child" and happened.status != "CREATED":
        return state, []
    if happened.what in {"begun", "child"} and state["left"]:
        name, *left = state["left"]
        made = [*state["made"], name]
        request = {"ImageName": name, "RoleArn": ROLE}
        return {**state, "left": left, "made": made}, [
            Change({"FailureReason": f"{len(made)} made"}),
            Call("CreateImage", request, name),
        ]
    if happened.what == "child":
        return state, [WakeAt(state["until"])]
    return state, []


async def begin(kernel: Kernel, *names: str) -> Context:
    cx = kernel.context(ACCOUNT, REGION)

    def make(inside: Context) -> None:
        row = PARENT.insert(inside, "p", {"CompilationJobName": "p", "RoleArn": ROLE}, status="INPROGRESS")
        state = {"left": list(names), "made": [], "until": inside.clock.now() + 3600}
        parents.begin(inside, PARENT, row.arn, state)

    await cx.transact(make)
    await kernel.listening()
    return cx


async def until(cx: Context, true: Callable[[Context], bool]) -> None:
    async with asyncio.timeout(10):
        while not await cx.read(true):  # noqa: ASYNC110 - what is waited for happens in a listener, which has no event to set
            await asyncio.sleep(0.005)


def count_of_everything(cx: Context) -> int:
    """Count what is kept about parents and promised work."""
    counts = [select(func.count()).select_from(table) for table in (parent_rows, awaited, work_items)]
    return sum(cx.db.execute(query).scalar_one() for query in counts)


def status(cx: Context) -> str:
    return PARENT.get(cx, "p").status


async def create(cx: Context, name: str) -> None:
    await until(cx, lambda inside: CHILD.find(inside, name) is not None)
    await cx.transact(lambda inside: transition(inside, CHILD, CHILD.get(inside, name), "CREATED"))


def test_a_parent_goes_on_when_its_children_have_and_when_its_time_has_come(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        CALLERS.clear()
        cx = await begin(kernel, "one", "two")
        await create(cx, "one")
        await create(cx, "two")
        await until(cx, lambda inside: inside.db.execute(select(parent_rows.c.wake_at)).scalar() is not None)
        await kernel.db.write(lambda tx: kernel.clocks.set_offset(tx, ACCOUNT, 7200.0))
        await until(cx, lambda inside: status(inside) == "COMPLETED")
        assert (await cx.read(lambda inside: PARENT.get(inside, "p"))).document["FailureReason"] == "2 made"
        assert {arn.split("/")[1] for arn in CALLERS} == {"r"}
        assert await cx.read(count_of_everything) == 0

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_refused_call_leaves_nothing_and_is_heard(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = await begin(kernel, "bad-one")
        await until(cx, lambda inside: status(inside) == "FAILED")
        assert await cx.read(lambda inside: CHILD.find(inside, "bad-one")) is None
        row = await cx.read(lambda inside: PARENT.get(inside, "p"))
        assert row.document["FailureReason"] == "ResourceLimitExceeded: no more images"

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_parent_hears_that_it_is_to_stop_and_forgets_when_it_is_deleted(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = await begin(kernel, "one")
        await until(cx, lambda inside: CHILD.find(inside, "one") is not None)
        await cx.call_async("StopCompilationJob", {"CompilationJobName": "p"})
        await until(cx, lambda inside: status(inside) == "STOPPED")
        await create(cx, "one")
        assert (
            await cx.read(lambda inside: inside.db.execute(select(func.count()).select_from(parent_rows)).scalar()) == 0
        )

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_call_as_a_role_is_judged_as_the_role(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        judged: list[tuple[str, str]] = []

        def refuse(cx: Context, service: str, operation: str, request: dict[str, Any]) -> None:
            judged.append((cx.caller.arn, operation))
            raise AwsError("AccessDeniedException", f"{service} {len(request)}", status=403)

        object.__setattr__(kernel.settings, "iam", "enforce")
        calls.AUTHORIZER.set(kernel, refuse)
        cx = kernel.context(ACCOUNT, REGION)
        request = {"ImageName": "i", "RoleArn": ROLE}
        with pytest.raises(AwsError, match="AccessDenied"):
            await cx.call_async("CreateImage", request, role=ROLE)
        assert [operation for _, operation in judged] == ["CreateImage"]
        assert judged[0][0].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/r/")
        assert "ImageArn" in await cx.call_async("CreateImage", request)
        with pytest.raises(AwsError, match="1 validation error"):
            await cx.call_async("CreateImage", {"ImageName": "i"})

    with_kernel(work_on, COMPONENT)


FAILURES: list[int] = []


def test_a_step_that_raises_at_its_time_holds_up_no_other(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = await begin(kernel, "one")
        await create(cx, "one")
        await until(cx, lambda inside: inside.db.execute(select(parent_rows.c.wake_at)).scalar() is not None)

        def break_one(inside: Context) -> None:
            broken = {"kind": "CompilationJob", "account": ACCOUNT, "region": REGION, "arn": "arn:broken"}
            inside.db.execute(insert(parent_rows), {**broken, "wake_at": 1.0, "state": b"{}"})

        await cx.transact(break_one)
        await kernel.db.write(lambda tx: kernel.clocks.set_offset(tx, ACCOUNT, 7200.0))
        await until(cx, lambda inside: status(inside) == "COMPLETED")

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_reset_leaves_nothing_of_an_accounts_parents(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = await begin(kernel, "one")
        await until(cx, lambda inside: CHILD.find(inside, "one") is not None)
        await forget_account(kernel, ACCOUNT)
        assert await cx.read(count_of_everything) == 0

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_parent_made_again_before_its_deletion_was_delivered_begins_anew(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)

        def make(inside: Context, *names: str) -> None:
            row = PARENT.insert(inside, "p", {"CompilationJobName": "p", "RoleArn": ROLE}, status="INPROGRESS")
            parents.begin(inside, PARENT, row.arn, {"left": list(names), "made": [], "until": 0})

        def again(inside: Context) -> None:
            make(inside, "old")
            PARENT.delete(inside, PARENT.get(inside, "p"))
            make(inside, "new")

        await cx.transact(again)
        await kernel.listening()
        await until(cx, lambda inside: CHILD.find(inside, "new") is not None)
        assert await cx.read(lambda inside: CHILD.find(inside, "old")) is None

    with_kernel(work_on, COMPONENT, parents, waking, work)


LATE = resource(
    "HumanTaskUi",
    arn_path="human-task-ui",
    status_member="HumanTaskUiStatus",
    machine=machine(Active={"Deleting"}),
    derives=("Describe",),
)


@operation("StartMlflowTrackingServer")
async def make_early(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a child that has come to its end before this answers."""
    name = request["TrackingServerName"]
    CALLERS.append(name)

    def made(inside: Context) -> str:
        row = CHILD.insert(inside, name, {"ImageName": name, "RoleArn": ROLE}, status="CREATING")
        transition(inside, CHILD, row, "CREATED")
        return row.arn

    arn = await cx.transact(made)
    while await cx.read(lambda inside: inside.db.execute(_DELIVERIES).scalar_one()):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.005)
    return {"TrackingServerArn": arn}


@parents.waits(LATE, children=("Image",))
def late_step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Call what answers late, or read what is there, and end when its child has."""
    if happened.what == "begun" and "there" in state:
        return state, [Call("DescribeImage", {"ImageName": state["there"]})]
    if happened.what == "begun":
        return state, [Call("StartMlflowTrackingServer", {"TrackingServerName": "early"})]
    if happened.what == "answered" and FAILURES:
        raise OSError(FAILURES.pop())
    if happened.what == "child" and happened.status == "CREATED":
        return state, [Move("Deleting"), End()]
    return state, []


def test_a_step_that_raises_at_an_answer_does_not_call_again(
    with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LONGEST_PAUSE_S", 0.01)

    async def work_on(kernel: Kernel) -> None:
        CALLERS.clear()
        FAILURES[:] = [1, 2]
        cx = kernel.context(ACCOUNT, REGION)

        def make(inside: Context) -> None:
            row = LATE.insert(inside, "late", {}, status="Active")
            parents.begin(inside, LATE, row.arn)

        await cx.transact(make)
        await kernel.listening()
        await until(cx, lambda inside: LATE.get(inside, "late").status == "Deleting")
        assert CALLERS == ["early"]

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_child_that_ended_before_its_call_was_answered_is_heard(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)

        def make(inside: Context) -> None:
            row = LATE.insert(inside, "late", {}, status="Active")
            parents.begin(inside, LATE, row.arn)

        await cx.transact(make)
        await kernel.listening()
        await until(cx, lambda inside: LATE.get(inside, "late").status == "Deleting")

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_a_child_that_had_ended_before_its_call_is_heard(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)
        await kernel.listening()

        def make_child(inside: Context) -> None:
            transition(inside, CHILD, CHILD.insert(inside, "i", {"ImageName": "i"}, status="CREATING"), "CREATED")

        await cx.transact(make_child)
        await until(cx, lambda inside: not inside.db.execute(_DELIVERIES).scalar_one())

        def make(inside: Context) -> None:
            row = LATE.insert(inside, "late", {}, status="Active")
            parents.begin(inside, LATE, row.arn, {"there": "i"})

        await cx.transact(make)
        await until(cx, lambda inside: LATE.get(inside, "late").status == "Deleting")

    with_kernel(work_on, COMPONENT, parents, waking, work)


@operation("StartPipelineExecution")
async def make_slow(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a child that is on its way when this answers, and whose first event has been delivered."""
    name = request["PipelineName"]
    row = await cx.transact(lambda inside: CHILD.insert(inside, name, {"ImageName": name}, status="CREATING"))
    while await cx.read(lambda inside: inside.db.execute(_DELIVERIES).scalar_one()):  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.005)
    return {"PipelineExecutionArn": row.arn}


_DELIVERIES = select(func.count()).select_from(deliveries)
MEANWHILE: list[Callable[[], None]] = []
SLOW = resource(
    "Workforce",
    arn_path="workforce",
    status_member="Status",
    machine=machine(Active={"Deleting"}),
    filters={"NameContains": "WorkforceName"},
    derives=(),
)


@parents.waits(SLOW, children=("Image",))
def slow_step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Call what answers before its child has ended; the child ends while the answer is told, and this is not yet committed."""
    if happened.what == "begun":
        return state, [Call("StartPipelineExecution", {"PipelineName": "pipeline-1", "ClientRequestToken": "t" * 32})]
    if happened.what == "child" and happened.status == "CREATING":
        MEANWHILE.pop()()
    if happened.what == "child" and happened.status == "CREATED":
        return state, [Move("Deleting"), End()]
    return state, []


@pytest.mark.skipif(not postgresql.is_wanted(), reason="SQLite's transactions do not overlap")
def test_a_child_that_ends_while_its_call_is_answered_is_heard(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)

        def end_child() -> None:
            """Let the child end, and wait until its event was delivered, or a while: it may wait for this transaction."""
            cx.write(lambda inside: transition(inside, CHILD, CHILD.get(inside, "pipeline-1"), "CREATED"))
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline and cx.look(lambda inside: inside.db.execute(_DELIVERIES).scalar_one()):
                time.sleep(0.005)

        MEANWHILE[:] = [end_child]

        def make(inside: Context) -> None:
            row = SLOW.insert(inside, "slow", {}, status="Active")
            parents.begin(inside, SLOW, row.arn)

        await cx.transact(make)
        await kernel.listening()
        await until(cx, lambda inside: SLOW.get(inside, "slow").status == "Deleting")

    with_kernel(work_on, COMPONENT, parents, waking, work)


def test_steps_at_once_lose_none_of_their_states(with_kernel: Callable[..., Any]) -> None:
    """On PostgreSQL the clock, children's events and answers of calls come in transactions that overlap."""

    async def work_on(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)

        def make(inside: Context) -> str:
            row = COUNTING.insert(inside, "c", {}, status="Active")
            parents.begin(inside, COUNTING, row.arn, {"count": 0})
            return row.arn

        arn = await cx.transact(make)
        event = Event(0, 0.0, ACCOUNT, REGION, "FlowDefinition", arn, "x", "y", "", {})
        waiting = parents.KINDS.of(kernel)["FlowDefinition"]
        hear = next(each.handler for each in waiting.heard() if each.kind == "FlowDefinition")
        await asyncio.gather(*(cx.transact(lambda inside: hear(inside, event)) for _ in range(16)))
        state = await cx.read(lambda inside: inside.db.execute(select(parent_rows.c.state)).scalar_one())
        assert orjson.loads(state)["count"] >= 16

    with_kernel(work_on, COMPONENT, parents, waking, work)


COUNTING = resource(
    "FlowDefinition",
    arn_path="flow-definition",
    status_member="FlowDefinitionStatus",
    machine=machine(Active={"Deleting"}),
    derives=("Describe",),
)


@parents.waits(COUNTING)
def count_up(state: State, _happened: Happened) -> tuple[State, list[Command]]:
    """Count what happens."""
    return {"count": state["count"] + 1}, []
