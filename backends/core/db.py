"""The state database: one way to read, one way to write, on SQLite and on PostgreSQL.

SQLite has one writer, so only the event loop's own thread writes (a point read takes 4 µs, a thread hop 60): what one
turn of the loop collects shares one transaction by savepoints, and its callers are answered after the commit. On
PostgreSQL every unit of work runs in a thread of its own. Figures: docs and `bench/README.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)
T = TypeVar("T")
THREADS = 16
ENDED_FOR_ANOTHER = {"40P01", "40001"}
"""PostgreSQL's codes of transactions that it ends for the sake of another: a deadlock, a serialization failure."""
MOST_TRIES, PAUSE_S = 5, 0.1
WAIT_S = 1.0
CLOSED = "the server stops: its database is closed"


@dataclass(slots=True)
class Transaction:
    """One unit of work: its connection, and what to do once it is committed (never when it is rolled back).

    `driver`: the same connection as SQLite's own driver has it, for `Prepared`; None on PostgreSQL.
    """

    connection: Connection
    driver: Any = None
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Do a part of the work: its exception undoes the part, and what was to follow its commit, and goes on its way."""
        marked = len(self.after_commit)
        nested = self.connection.begin_nested() if self.driver is None else None
        if nested is None:
            self.driver.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            del self.after_commit[marked:]
            if nested is not None:
                nested.rollback()
            elif self.driver.in_transaction:  # a full disk has ended it already
                self.driver.execute("ROLLBACK TO part")
                self.driver.execute("RELEASE part")
            raise
        if nested is not None:
            nested.commit()
        else:
            self.driver.execute("RELEASE part")


def engine_for(url: str, durability: str) -> Engine:
    """Make the engine of a URL; on SQLite WAL, one statement cache per connection and the asked durability."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=THREADS, max_overflow=THREADS, pool_pre_ping=True)
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=THREADS,
        max_overflow=THREADS,
        connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 512},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'power' else 'NORMAL'}")
        connection.execute("PRAGMA mmap_size=268435456")
        connection.execute("PRAGMA wal_autocheckpoint=16000")

    return engine


class Database:
    """The open database. `bind` ties it to the event loop whose thread writes."""

    def __init__(self, url: str, durability: str = "process") -> None:
        self.engine = engine_for(url, durability)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._reader_driver: Any = None
        self._pending: list[tuple[Callable[[Transaction], Any], Future[Any] | asyncio.Future[Any]]] = []
        self._closed = False
        self._pool = None if self.is_sqlite else ThreadPoolExecutor(THREADS, thread_name_prefix="database")

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the calling thread, which runs `loop`, the one that writes."""
        self._loop, self._thread = loop, threading.get_ident()
        if self.is_sqlite:
            self._writer, self._reader = self.engine.connect(), self.engine.connect()
            self._reader_driver = self._reader.connection.driver_connection
            self._reader_driver.execute("PRAGMA query_only=ON")

    def close(self) -> None:
        """Close every connection; what is pending is committed first, what comes later is refused."""
        if self._pending:
            self._flush()
        self._closed = True
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = self._reader_driver = None
        if self._pool is not None:
            self._pool.shutdown()
        self.engine.dispose()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run a unit of work in a transaction and return after its commit. Its exception rolls back only itself."""
        if self._pool is not None:
            return await asyncio.shield(self._write_in_pool(work))
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(work, future)
        return await future

    async def _write_in_pool(self, work: Callable[[Transaction], T]) -> T:
        """Write in a thread. A caller that goes away takes back nothing, also where no thread has begun yet: as on SQLite."""
        assert self._pool is not None
        result, after = await asyncio.get_running_loop().run_in_executor(self._pool, self._write_here, work)
        _run_all(after)
        return result

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a unit of work that only reads."""
        if self._pool is not None:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_blocking, work)
        return self.read_on_loop(work)

    def read_on_loop(self, work: Callable[[Transaction], T]) -> T:
        """Read on the loop's own connection (SQLite). Its snapshot, dearer than a point read, is kept until the loop writes."""
        assert self._reader is not None
        if not self._reader_driver.in_transaction:
            self._reader_driver.execute("BEGIN")
        return work(Transaction(self._reader, self._reader_driver))

    def write_blocking(self, work: Callable[[Transaction], T]) -> T:
        """Write from any thread but the loop's, and wait for the commit. RuntimeError once the database is closed."""
        if not self.is_sqlite:
            result, after = self._write_here(work)
            if after and self._loop is not None:
                self._loop.call_soon_threadsafe(_run_all, after)
            return result
        if self._loop is None or threading.get_ident() == self._thread:
            return self._write_now(work)
        future: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._enqueue, work, future)
        while True:
            try:
                return future.result(WAIT_S)
            except FutureTimeout:
                if future.done():  # it ended at that very moment, or in a time-out of its own
                    return future.result()
                if self._closed:  # the loop may have ended before it took the work up
                    raise RuntimeError(CLOSED) from None

    def read_blocking(self, work: Callable[[Transaction], T]) -> T:
        """Read from any thread, on a connection of its own."""
        with self.engine.connect() as connection:
            return work(Transaction(connection, connection.connection.driver_connection if self.is_sqlite else None))

    def _enqueue(self, work: Callable[[Transaction], Any], future: Future[Any] | asyncio.Future[Any]) -> None:
        if self._closed:
            _settle(future, None, RuntimeError(CLOSED))
            return
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append((work, future))

    def _flush(self) -> None:
        """Commit what this turn of the loop collected; answer each caller afterwards."""
        batch, self._pending = self._pending, []
        if self._reader_driver is not None and self._reader_driver.in_transaction:
            self._reader_driver.execute("COMMIT")  # reads look anew afterwards, and the log can start over
        outcomes: list[tuple[Any, BaseException | None, list[Callable[[], None]]]] = []
        assert self._writer is not None
        driver: Any = self._writer.connection.driver_connection
        try:
            driver.execute("BEGIN IMMEDIATE")
            for work, _ in batch:
                outcomes.append(self._attempt(driver, work, alone=len(batch) == 1))
            if driver.in_transaction:
                driver.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the commit failed: nothing of the turn was kept
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            failures = [failed for _, failed, _ in outcomes] + [None] * (len(batch) - len(outcomes))
            outcomes = [(None, failed or error, []) for failed in failures]
        for (_, future), (result, failure, _) in zip(batch, outcomes, strict=True):
            _settle(future, result, failure)
        for _, _, after in outcomes:
            _run_all(after)

    def _attempt(
        self, driver: Any, work: Callable[[Transaction], Any], *, alone: bool
    ) -> tuple[Any, BaseException | None, list[Callable[[], None]]]:
        """Run one unit of work: its result, or its exception with what it wrote undone. `alone`: no savepoint (10 µs)."""
        assert self._writer is not None
        transaction = Transaction(self._writer, driver)
        if not alone:
            driver.execute("SAVEPOINT work")
        outcome: tuple[Any, BaseException | None, list[Callable[[], None]]]
        try:
            outcome = work(transaction), None, transaction.after_commit
        except Exception as error:  # noqa: BLE001 - handed to the caller that asked for this work
            outcome = None, error, []
            if not alone:
                driver.execute("ROLLBACK TO work")
            elif driver.in_transaction:  # a full disk has ended it already
                driver.execute("ROLLBACK")
        if not alone:
            driver.execute("RELEASE work")
        return outcome

    def _write_now(self, work: Callable[[Transaction], T]) -> T:
        """Write outside a running loop (start-up, command line) or from within the loop's own thread."""
        if self._writer is not None and cast("Any", self._writer.connection.driver_connection).in_transaction:
            raise RuntimeError("write_blocking inside a transaction would commit what the transaction has not finished")
        future: Future[T] = Future()
        writer, self._writer = self._writer, self._writer or self.engine.connect()
        kept, self._pending = self._pending, [(work, future)]
        try:
            self._flush()
        finally:
            self._pending = kept
            if writer is None:
                self._writer.close()
                self._writer = None
        return future.result()

    def _write_here(self, work: Callable[[Transaction], T]) -> tuple[T, list[Callable[[], None]]]:
        """Write on PostgreSQL; what it ends because two wait for each other is done again, from the start."""
        for tries_left in reversed(range(MOST_TRIES)):
            try:
                with self.engine.begin() as connection:
                    transaction = Transaction(connection)
                    result = work(transaction)
            except DBAPIError as error:
                if not tries_left or getattr(error.orig, "sqlstate", "") not in ENDED_FOR_ANOTHER:
                    raise
                time.sleep(random.uniform(0, PAUSE_S))  # noqa: S311 - so that the two do not meet again
            else:
                return result, transaction.after_commit
        raise AssertionError


def _settle(future: Future[Any] | asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():  # the client went away while its work was being committed
        return
    if isinstance(failure, StopIteration):  # asyncio's futures refuse it
        failure = RuntimeError(f"a unit of work let {failure!r} out")
    if failure is not None:
        future.set_exception(failure)
    else:
        cast("Future[Any]", future).set_result(result)


def _run_all(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("what follows a commit failed")
