"""Promised work: done in order, again after a failure, as many at once as its key has capacity for."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from backends.core import work
from tests.core.conftest import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from backends.core.context import Context
    from backends.core.kernel import Kernel

COMPONENT = sys.modules[__name__]
DONE: list[tuple[int, int]] = []
FAILURES: list[int] = []


@work.does("test", capacity=lambda _cx, key: int(key))
async def do(_cx: Context, item: work.Item) -> Callable[[Context], None] | None:
    """Note what was done; fail as often as the test wants."""
    if item.body["n"] in FAILURES:
        FAILURES.remove(item.body["n"])
        raise OSError("not yet")
    DONE.append((item.body["n"], item.attempts))
    return None


def test_promised_work_is_done_in_order_and_again_after_a_failure(
    with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LONGEST_PAUSE_S", 0.01)

    async def work_on(kernel: Kernel) -> None:
        DONE.clear()
        FAILURES[:] = [2, 2]
        cx = kernel.context(ACCOUNT, REGION)
        await cx.transact(lambda inside: [work.add(inside, "test", "1", {"n": n}) for n in range(4)])
        await cx.transact(lambda inside: work.add(inside, "test", "0", {"n": 9}, expires=inside.clock.now() + 3600))
        await kernel.listening()
        async with asyncio.timeout(10):
            while len(DONE) < 4:  # noqa: ASYNC110 - the worker sets no event
                await asyncio.sleep(0.005)
        assert sorted(DONE) == [(0, 0), (1, 0), (2, 2), (3, 0)]
        await kernel.db.write(lambda tx: kernel.clocks.set_offset(tx, ACCOUNT, 7200.0))
        async with asyncio.timeout(10):
            while len(DONE) < 5:  # noqa: ASYNC110 - the worker sets no event
                await asyncio.sleep(0.005)

    with_kernel(work_on, COMPONENT, work)


@work.does("failing", capacity=lambda _cx, key: int(key))
async def fail(_cx: Context, item: work.Item) -> None:
    """Fail each time."""
    DONE.append((item.body["n"], item.attempts))
    raise OSError("never")


def test_promised_work_that_fails_after_it_has_expired_is_no_hot_loop(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        DONE.clear()
        cx = kernel.context(ACCOUNT, REGION)
        await cx.transact(lambda inside: work.add(inside, "failing", "1", {"n": 1}, expires=1.0))
        await kernel.listening()
        await asyncio.sleep(0.6)
        assert DONE == [(1, 0)]

    with_kernel(work_on, COMPONENT, work)


def test_promised_work_goes_on_where_one_keys_capacity_cannot_be_read(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        DONE.clear()
        cx = kernel.context(ACCOUNT, REGION)
        for key in ("", "no number", "zzz", "1"):
            await cx.transact(lambda inside, key=key: work.add(inside, "test", key, {"n": 7}))  # type: ignore[misc]
        await kernel.listening()
        async with asyncio.timeout(5):
            while not DONE:  # noqa: ASYNC110 - the worker sets no event
                await asyncio.sleep(0.005)

    with_kernel(work_on, COMPONENT, work)


@work.does("keeping", capacity=lambda _cx, _key: 1)
async def get_and_write(_cx: Context, item: work.Item) -> None:
    """Ask once, and fail to write the answer down as often as the test wants."""
    if "answer" not in item.kept:
        item.kept["answer"] = item.body["n"]
        DONE.append((item.body["n"], item.attempts))
    if FAILURES:
        raise OSError(FAILURES.pop())


def test_promised_work_that_failed_keeps_its_place_and_what_it_has(
    with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LONGEST_PAUSE_S", 0.01)

    async def work_on(kernel: Kernel) -> None:
        DONE.clear()
        FAILURES[:] = [1, 2, 3]
        cx = kernel.context(ACCOUNT, REGION)
        await cx.transact(lambda inside: [work.add(inside, "keeping", "1", {"n": n}) for n in range(3)])
        await kernel.listening()
        async with asyncio.timeout(10):
            while len(DONE) < 3:  # noqa: ASYNC110 - the worker sets no event
                await asyncio.sleep(0.005)
        assert DONE == [(0, 0), (1, 0), (2, 0)]

    with_kernel(work_on, COMPONENT, work)


def test_the_pauses_between_attempts_grow_to_a_minute() -> None:
    items = [work.Item(1, "q", "k", ACCOUNT, REGION, 0.0, None, attempts, {}) for attempts in (*range(8), 5000)]
    assert [work._pause_s(item) for item in items] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@work.does("stuck", capacity=lambda _cx, _key: 1)
async def wait_or_note(_cx: Context, item: work.Item) -> None:
    """Wait for ever, or note that it came this far."""
    DONE.append((item.body["n"], item.attempts))
    if item.body["n"] == 0:
        await asyncio.Event().wait()


def test_what_is_done_for_a_forgotten_key_holds_no_place(with_kernel: Callable[..., Any]) -> None:
    async def work_on(kernel: Kernel) -> None:
        DONE.clear()
        cx = kernel.context(ACCOUNT, REGION)
        await cx.transact(lambda inside: work.add(inside, "stuck", "one", {"n": 0}))
        await kernel.listening()
        for count in (1, 2):
            async with asyncio.timeout(3):
                while len(DONE) < count:  # noqa: ASYNC110 - the worker sets no event
                    await asyncio.sleep(0.005)
            await cx.transact(lambda inside: work.forget(inside, "stuck", "one"))
            await cx.transact(lambda inside: work.add(inside, "stuck", "one", {"n": 1}))
        assert DONE[:2] == [(0, 0), (1, 0)]

    with_kernel(work_on, COMPONENT, work)
