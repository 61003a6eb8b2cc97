"""The dispatcher with a kind of job of the test's own: threads, stops, time limits, failures, restarts."""

from __future__ import annotations

import asyncio
import threading
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, select, update

from backends.core.kernel import Kernel
from backends.core.settings import Settings
from backends.core.tables import jobs
from backends.jobs import admission, dispatcher, queue
from backends.jobs.admission import Allotment, ResourceRequest
from backends.jobs.drivers import drives

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from backends.jobs.admission import CapacityError
    from backends.jobs.run import Run

ACCOUNT, REGION = "111122223333", "us-east-1"


class Work:
    """What the jobs of a test do: each runs until it is told to end; `log` is what happened, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.may_end = threading.Event()
        self.stopped: set[str] = set()
        self.limit: float | None = None
        self.failures: list[str] = []

    def names(self, what: str) -> list[str]:
        """Return whom something happened to, in order."""
        return [name for happened, name in self.log if happened == what]

    def module(self) -> ModuleType:  # noqa: C901 - each thing that a driver has, in a line or two
        """Return a component whose jobs do this."""

        def finish(run: Run, how: str) -> None:
            self.log.append((how, run.state["name"]))
            run.cx.write(run.finish_in)

        def look(run: Run) -> float | None:
            if run.state["name"] in self.stopped:
                finish(run, "stopped")
            elif self.limit is not None and run.cx.clock.now() > self.limit:
                finish(run, "expired")
            return self.limit

        def drive(run: Run) -> None:
            if run.phase == "queued":
                assert run.allotment is not None
                run.save("running", gpus=list(run.allotment.gpus))
            self.log.append(("started", run.state["name"]))
            if "fails" in run.state:
                raise ValueError(run.state["name"])
            while not self.may_end.is_set():
                run.wait(0.02)
            finish(run, "ended")

        def refuse(run: Run, _: CapacityError) -> None:
            if self.failures:
                raise OSError(self.failures.pop())
            finish(run, "refused")

        def request(run: Run) -> ResourceRequest:
            if "unreadable" in run.state:
                raise ValueError(run.state["name"])
            return ResourceRequest(1, run.state.get("gpus_wanted", 0))

        def adopt(run: Run) -> dict[str, Allotment]:
            if "unreadable" in run.state:
                raise ValueError(run.state["name"])
            return {run.id: Allotment(run.cx.account, 1, ())}

        def fail(run: Run, _: str) -> None:
            if self.failures:
                self.log.append(("could not fail", run.state["name"]))
                raise OSError(self.failures.pop())
            finish(run, "failed")

        marked = drives(
            "toy",
            fail=fail,
            request=request,
            refuse=refuse,
            look=look,
            adopt=adopt,
        )(drive)
        component = ModuleType("toy")
        marked.__module__ = component.__name__
        component.drive = marked  # type: ignore[attr-defined]
        return component


@pytest.fixture
def run_kernel(tmp_path: Path) -> Callable[..., Any]:
    """Return `run_kernel(work, test)`: run `await test(kernel)` with two places, then stop the kernel."""

    def run(work: Work, test: Callable[[Kernel], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            kernel = Kernel(Settings.read({"LOCALMAKER_MAX_JOBS": "2"}, data_dir=tmp_path), [queue, work.module()])
            kernel.open()
            await kernel.start()
            await kernel.listening()
            try:
                return await test(kernel)
            finally:
                await kernel.stop()

        return asyncio.run(main())

    return run


async def add(kernel: Kernel, *names: str, account: str = ACCOUNT, **state: Any) -> None:
    def work(cx: Any) -> None:
        for name in names:
            queue.add(cx, "toy", f"arn:aws:sagemaker:{REGION}:{account}:toy/{name}", {"name": name, **state})

    await kernel.context(account, REGION).transact(work)


async def until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 - what is waited for happens in other threads, which set no event
            await asyncio.sleep(0.01)


def count(kernel: Kernel) -> int:
    query = select(func.count()).select_from(jobs)
    return int(kernel.db.read_blocking(lambda tx: tx.connection.execute(query)).scalar_one())


def test_waiting_jobs_have_no_threads_and_a_stop_does_not_wait_for_them(run_kernel: Callable[..., Any]) -> None:
    work = Work()

    async def test(kernel: Kernel) -> float:
        await add(kernel, *(f"j{n}" for n in range(300)))
        await until(lambda: len(work.names("started")) == 2)
        assert threading.active_count() < 40
        assert await asyncio.to_thread(count, kernel) == 300
        return time.monotonic()

    began = run_kernel(work, test)
    assert time.monotonic() - began < 8
    assert work.names("ended") == []


def test_a_restarted_server_counts_what_runs_before_it_admits(run_kernel: Callable[..., Any]) -> None:
    work = Work()

    async def first(kernel: Kernel) -> None:
        await add(kernel, "a", "b", "c", "d")
        await until(lambda: len(work.names("started")) == 2)

    run_kernel(work, first)
    again = Work()

    async def second(kernel: Kernel) -> None:
        await until(lambda: len(again.names("started")) == 2)
        await asyncio.sleep(0.2)
        assert sorted(again.names("started")) == ["a", "b"]
        again.may_end.set()
        await until(lambda: len(again.names("ended")) == 4)
        await until(lambda: queue.DISPATCHER.of(kernel).overview() == [])

    run_kernel(again, second)


def test_a_waiting_job_is_looked_at_when_its_resource_changes_and_when_its_time_is_up(
    run_kernel: Callable[..., Any],
) -> None:
    work = Work()

    async def test(kernel: Kernel) -> None:
        await add(kernel, "a", "b", "c", "d")
        await until(lambda: len(work.names("started")) == 2)
        work.stopped.add("c")
        kernel.changed.notify(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:toy/c")
        await until(lambda: work.names("stopped") == ["c"])
        work.limit = time.time() + 3600
        kernel.changed.notify(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:toy/d")
        await asyncio.sleep(0.2)
        assert work.names("expired") == []
        await kernel.db.write(lambda tx: kernel.clocks.set_offset(tx, ACCOUNT, 7200.0))
        await until(lambda: work.names("expired") == ["d"])

    run_kernel(work, test)


def test_a_driver_that_fails_again_and_again_ends_its_job(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.01)
    work = Work()

    async def test(kernel: Kernel) -> None:
        await add(kernel, "bad", fails=True)
        await until(lambda: work.names("failed") == ["bad"])
        assert work.names("started") == ["bad"] * 3
        await add(kernel, "good")
        await until(lambda: "good" in work.names("started"))

    run_kernel(work, test)


def test_a_job_that_cannot_be_failed_is_tried_with_pauses_logged_once_and_left(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.001)
    monkeypatch.setattr("backends.jobs.dispatcher.LONGEST_RETRY_S", 0.01)
    work = Work()
    work.failures = [*["full"] * (dispatcher.MOST_FAILURES - dispatcher.MAX_FAILURES + 1)]

    async def test(kernel: Kernel) -> None:
        await add(kernel, "bad", fails=True)
        await until(lambda: not work.failures and "is left until" in caplog.text)
        await until(lambda: not queue.DISPATCHER.of(kernel).overview())  # it holds no place and no thread
        assert len(work.names("started")) == dispatcher.MOST_FAILURES
        assert (caplog.text.count("could not be failed"), caplog.text.count("driving toy-")) == (1, 3)
        arn = await kernel.context(ACCOUNT, REGION).read(lambda cx: cx.db.execute(select(jobs.c.arn)).scalar_one())
        queue.DISPATCHER.of(kernel).notify(arn)
        await until(lambda: work.names("failed") == ["bad"])

    run_kernel(work, test)
    assert [dispatcher._pause_s(failures) for failures in (1, 2, 3, 5000)] == [0.001, 0.002, 0.004, 0.01]


def test_a_job_that_no_machine_like_this_can_run_is_refused(run_kernel: Callable[..., Any]) -> None:
    work = Work()

    async def test(kernel: Kernel) -> None:
        await add(kernel, "greedy", gpus_wanted=64)
        await until(lambda: work.names("refused") == ["greedy"])
        await until(lambda: count(kernel) == 0)  # its row goes last

    run_kernel(work, test)


def test_a_job_that_a_job_asks_for_runs_beside_it(run_kernel: Callable[..., Any]) -> None:
    work = Work()

    async def test(kernel: Kernel) -> None:
        await add(kernel, "a", "b", "other")
        await until(lambda: len(work.names("started")) == 2)
        parent = queue.DISPATCHER.of(kernel).overview()[0]["id"]
        await add(kernel, "child", beside=parent)
        await until(lambda: "child" in work.names("started"))
        assert "other" not in work.names("started")

    run_kernel(work, test)


def test_jobs_that_jobs_ask_for_are_one_family_and_the_deepest_is_refused_at_once(
    run_kernel: Callable[..., Any],
) -> None:
    work, deepest = Work(), admission.MOST_LEVELS + 1

    async def test(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)

        async def start(name: str, of: str) -> str:
            caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/{of}" if of else ""
            arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:toy/{name}"
            return await cx.transact(lambda inside: queue.add(inside, "toy", arn, {"name": name}, caller=caller))

        chain = [""]
        for level in range(deepest + 1):
            chain.append(await start(str(level), chain[-1]))
            await until(lambda level=level: str(level) in work.names("started") + work.names("refused"))  # type: ignore[misc]
        assert work.names("refused") == [str(deepest)]
        await start("sibling", chain[1])
        await start("last", "")
        await until(lambda: "last" in work.names("started"))
        assert "sibling" not in work.names("started")
        query = select(jobs.c.state).where(jobs.c.id == chain[-2])
        state = orjson.loads(await cx.read(lambda inside: inside.db.execute(query).scalar_one()))
        assert state["lineage"] == {"family": chain[1], "ancestors": chain[1:-2]}

    run_kernel(work, test)


def test_a_job_whose_request_cannot_be_read_holds_up_nobody_and_is_failed(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.01)
    work = Work()

    async def test(kernel: Kernel) -> None:
        await add(kernel, "bad", unreadable=True)
        await add(kernel, "a", "b")
        await until(lambda: sorted(work.names("started")) == ["a", "b"])
        await until(lambda: work.names("failed") == ["bad"])
        await until(lambda: count(kernel) == 2)  # its row goes last

    run_kernel(work, test)


def test_what_an_earlier_version_left_does_not_keep_the_next_from_starting(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.01)
    work = Work()

    async def first(kernel: Kernel) -> None:
        await add(kernel, "a")
        await until(lambda: work.names("started") == ["a"])

        def age(cx: Any) -> None:
            state = orjson.dumps({"name": "a", "unreadable": True})
            cx.db.execute(update(jobs).values(state=state))
            for phase in ("queued", "running"):
                queue.add(cx, "gone", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:gone/{phase}")
                cx.db.execute(update(jobs).where(jobs.c.arn.endswith(phase)).values(phase=phase))

        await kernel.context(ACCOUNT, REGION).transact(age)

    run_kernel(work, first)
    again = Work()

    async def second(kernel: Kernel) -> None:
        await add(kernel, "b")
        await until(lambda: sorted(again.names("started")) == ["a", "b"])
        assert await asyncio.to_thread(count, kernel) == 4

    run_kernel(again, second)


def test_a_refusal_that_fails_is_tried_again_and_logged_once(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.01)
    work = Work()
    work.failures = ["once", "twice"]

    async def test(kernel: Kernel) -> None:
        await add(kernel, "greedy", gpus_wanted=64)
        await until(lambda: work.names("refused") == ["greedy"])

    run_kernel(work, test)
    assert caplog.text.count("could not be looked at") == 1


def test_a_machine_without_a_thread_left_loses_no_job_and_no_place(
    run_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.jobs.dispatcher.RETRY_S", 0.01)
    work, start = Work(), threading.Thread.start
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("toy-") and len(refused) < 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    async def test(kernel: Kernel) -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        await add(kernel, "a", "b", "c")
        await until(lambda: len(work.names("started")) == 2)
        work.may_end.set()
        await until(lambda: sorted(work.names("ended")) == ["a", "b", "c"])

    run_kernel(work, test)
    assert len(refused) == 3
