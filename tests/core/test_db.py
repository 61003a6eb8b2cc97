"""Units of work: each is whole or nothing, whoever shares its turn of the loop."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import OperationalError

from backends.core import db
from backends.core.tables import clocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.db import Transaction
    from backends.core.kernel import Kernel


def put(name: str) -> Callable[[Transaction], str]:
    def work(tx: Transaction) -> str:
        tx.connection.execute(insert(clocks), {"account": name, "offset_s": 1.0})
        return name

    return work


def names(tx: Transaction) -> list[str]:
    return sorted(tx.connection.execute(select(clocks.c.account)).scalars())


def test_one_failure_in_a_shared_turn_undoes_only_itself(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        def fail(tx: Transaction) -> None:
            put("half")(tx)
            raise ValueError("no")

        results = await asyncio.gather(
            kernel.db.write(put("a")), kernel.db.write(fail), kernel.db.write(put("b")), return_exceptions=True
        )
        assert results[0] == "a"
        assert results[2] == "b"
        assert isinstance(results[1], ValueError)
        assert await kernel.db.read(names) == ["a", "b"]

    with_kernel(work)


def test_what_follows_a_commit_never_follows_a_rollback(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        done: list[str] = []

        def good(tx: Transaction) -> None:
            put("good")(tx)
            tx.after_commit.append(lambda: done.append("good"))

        def bad(tx: Transaction) -> None:
            tx.after_commit.append(lambda: done.append("bad"))
            raise ValueError

        await asyncio.gather(kernel.db.write(good), kernel.db.write(bad), return_exceptions=True)
        assert done == ["good"]

    with_kernel(work)


def test_a_thread_writes_through_the_loop_and_sees_its_write(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        def in_thread() -> list[str]:
            kernel.db.write_blocking(put("from a thread"))
            return kernel.db.read_blocking(names)

        assert await asyncio.to_thread(in_thread) == ["from a thread"]

    with_kernel(work)


def test_many_threads_and_the_loop_write_at_once(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        threads = [asyncio.to_thread(kernel.db.write_blocking, put(f"t{n}")) for n in range(20)]
        await asyncio.gather(*threads, *(kernel.db.write(put(f"l{n}")) for n in range(20)))
        assert len(await kernel.db.read(names)) == 40

    with_kernel(work)


def test_an_abandoned_write_is_still_committed(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        task = asyncio.create_task(kernel.db.write(put("kept")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await kernel.db.write(put("next"))
        for _ in range(2000):  # on PostgreSQL it goes on in a thread of its own
            if (stored := sorted(await kernel.db.read(names))) == ["kept", "next"]:
                break
            await asyncio.sleep(0.01)
        assert stored == ["kept", "next"]

    with_kernel(work)


def test_reads_see_what_was_written_and_do_not_write(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        for number in range(3):
            await kernel.db.write(put(f"{number}"))
            assert len(await kernel.db.read(names)) == number + 1
            await asyncio.to_thread(kernel.db.write_blocking, put(f"{number} from a thread"))
            assert len(await kernel.db.read(names)) == number + 2
            await kernel.db.write(
                lambda tx: tx.connection.execute(delete(clocks).where(clocks.c.account.like("%thread")))
            )
        if kernel.db.is_sqlite:  # PostgreSQL rolls it back
            with pytest.raises(OperationalError, match="readonly"):
                await kernel.db.read(put("by a read"))
        assert await kernel.db.read(names) == ["0", "1", "2"]

    with_kernel(work)


def test_the_log_starts_over_although_there_are_reads_all_the_time(with_kernel: Callable[..., Any]) -> None:
    """What reads hold is released before each write: SQLite's log, which starts over at 64 MB, must not grow on."""

    async def work(kernel: Kernel) -> None:
        if not kernel.db.is_sqlite:
            pytest.skip("SQLite's log")
        for number in range(32):
            await kernel.db.write(put(f"{number}" + "x" * (4 << 20)))
            await kernel.db.read(names)
        assert sum(path.stat().st_size for path in kernel.settings.data_dir.glob("*-wal")) < 80 << 20

    with_kernel(work)


def test_a_write_from_a_thread_ends_when_the_server_stops(with_kernel: Callable[..., Any]) -> None:
    """A tick that runs while the server stops waits for a write that nobody will carry out."""
    outcome: list[BaseException] = []
    threads: list[threading.Thread] = []

    async def work(kernel: Kernel) -> None:
        if not kernel.db.is_sqlite:
            pytest.skip("on PostgreSQL the thread itself writes")

        def late() -> None:
            try:
                while True:
                    kernel.db.write_blocking(put(f"{time.monotonic_ns()}"))
            except RuntimeError as error:
                outcome.append(error)

        threads.append(threading.Thread(target=late, daemon=True))
        threads[0].start()
        await asyncio.sleep(0.05)

    with_kernel(work)
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert outcome


def test_a_blocking_write_inside_a_transaction_of_the_loop_is_refused(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        if not kernel.db.is_sqlite:
            pytest.skip("on PostgreSQL each thread has its own connection")

        def outer(tx: Transaction) -> None:
            put("outer")(tx)
            kernel.db.write_blocking(put("inner"))

        with pytest.raises(RuntimeError, match="inside a transaction"):
            await kernel.db.write(outer)
        assert await kernel.db.read(names) == []

    with_kernel(work)


def test_a_write_that_ends_at_the_moment_of_a_look_is_answered(
    with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            value = super().result(30)
            if timeout is not None:  # as if the commit came between the end of the wait and the look
                raise TimeoutError
            return value

    async def work(kernel: Kernel) -> None:
        monkeypatch.setattr(db, "Future", Late)
        assert await asyncio.to_thread(kernel.db.write_blocking, put("late")) == "late"

    with_kernel(work)
