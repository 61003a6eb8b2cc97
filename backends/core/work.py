"""Durable work: promised in a transaction, done outside of any, at least once, with back-off.

A component adds an item in the transaction that accepts the work and marks one coroutine with `@does(queue)`. It is
called for each item, as many at once as its key has capacity for and in the order they came, and again after a failure (1
s, 2 s, 4 s, ... up to 60; the item keeps its place meanwhile, and in memory what it has `kept`) or a restart. What it
returns is done in the transaction that removes the item.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import delete, insert, select, update

from backends.core.errors import AwsError
from backends.core.loops import EVENT_LOOP
from backends.core.memory import InMemory
from backends.core.operation import marked
from backends.core.prepared import Prepared
from backends.core.tables import work_items

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
Doer = TypeVar("Doer", bound="Callable[..., Awaitable[Callable[[Context], None] | None]]")
IDLE_S = 5.0
BUSY_S = 0.5
LONGEST_PAUSE_S = 60.0
AT_ONCE = 4
MOST_EXPIRED = 100
COLUMNS = work_items.c
_COLUMNS = ("queue", "key", "account", "region", "created", "expires", "next_at", "attempts", "body")
_INSERT = Prepared(insert(work_items).returning(COLUMNS.id), _COLUMNS)
_KEYS = select(COLUMNS.queue, COLUMNS.key, COLUMNS.account, COLUMNS.region).distinct()


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of work. `expires`: a time of the account's clock, after which it is handed out whatever the capacity.

    `kept` is what one attempt leaves to the next, in memory: what a failure to write it down must not ask for twice.
    """

    id: int
    queue: str
    key: str
    account: str
    region: str
    created: float
    expires: float | None
    attempts: int
    body: dict[str, Any]
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """How the items of a queue are done; `capacity(cx, key)` is how many of a key at once."""

    queue: str
    do: Callable[[Context, Item], Awaitable[Callable[[Context], None] | None]]
    capacity: Callable[[Context, str], int] = field(default=lambda _cx, _key: AT_ONCE)


def does(queue: str, **others: Any) -> Callable[[Doer], Doer]:
    """Mark `async def do(cx, item)` as what does the items of a queue; the rest is as `Work` has it."""

    def mark(do: Doer) -> Doer:
        do.__dict__["work_queues"] = (Work(queue, do, **others),)
        return do

    return mark


def add(cx: Context, queue: str, key: str, body: dict[str, Any], *, expires: float | None = None) -> int:
    """Promise an item, in the running transaction; it is done after the commit. Returns its id."""
    row = {
        "queue": queue,
        "key": key,
        "account": cx.account,
        "region": cx.region,
        "created": cx.clock.now(),
        "expires": expires,
        "next_at": 0.0,
        "attempts": 0,
        "body": orjson.dumps(body),
    }
    ((item_id,),) = _INSERT.rows(cx.transaction, row)
    worker = WORKER.get(cx.kernel)
    if worker is not None:
        cx.transaction.after_commit.append(worker.wake)
    return int(item_id)


def forget(cx: Context, queue: str, key: str) -> None:
    """Forget what is promised for a key; what is being done for it is cancelled."""
    cx.db.execute(delete(work_items).where(COLUMNS.queue == queue, COLUMNS.key == key))
    worker = WORKER.get(cx.kernel)
    if worker is not None:
        cx.transaction.after_commit.append(lambda: worker.cancel(queue, key))


def keep(cx: Context, item: Item) -> None:
    """Keep an item's body as it has become: where it is done again, that is what it has."""
    cx.db.execute(update(work_items).where(COLUMNS.id == item.id).values(body=orjson.dumps(item.body, default=str)))


def is_there(cx: Context, item: Item) -> bool:
    """Return whether an item is still promised."""
    return cx.db.execute(select(COLUMNS.id).where(COLUMNS.id == item.id)).first() is not None


class Worker:
    """Has items done, on the event loop."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._works: dict[str, Work] = {
            each.queue: each for module in kernel.modules for each in marked(module, "work_queues")
        }
        self._running: dict[int, tuple[str, str, asyncio.Task[None]]] = {}
        self._wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def cancel(self, queue: str, key: str) -> None:
        """Cancel what is being done for a key."""
        for its_queue, its_key, task in self._running.values():
            if (its_queue, its_key) == (queue, key):
                task.cancel()

    async def run(self) -> None:
        """Begin items until cancelled."""
        try:
            while True:
                self._wake.clear()
                is_waiting = False
                try:
                    is_waiting = await self._hand_out()
                except Exception:
                    log.exception("promised work could not be read; it is tried again")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BUSY_S if is_waiting else IDLE_S):
                        await self._wake.wait()
        finally:
            for _, _, task in self._running.values():
                task.cancel()

    async def _hand_out(self) -> bool:
        """Begin what there is capacity for; return whether anything is promised."""
        keys = await self._kernel.db.read(lambda tx: tx.connection.execute(_KEYS).all())
        for key in keys:
            work = self._works.get(key.queue)
            if work is None:  # of a version that had it: whoever knows it again does it
                continue
            cx = self._kernel.context(key.account, key.region)
            try:
                due = await cx.read(lambda inside, key=key, work=work: self._due(inside, work, key.key))  # type: ignore[misc]
            except Exception:  # of this key: the others go on
                log.exception("what is promised for %s %s could not be read; it is tried again", key.queue, key.key)
                continue
            for item in due:
                task = asyncio.create_task(self._do(work, item), name=f"{item.queue} {item.id}")
                self._running[item.id] = item.queue, item.key, task
        return bool(keys)

    def _due(self, cx: Context, work: Work, key: str) -> list[Item]:
        """Return the items of a key to begin now: what has expired, else the first ones as far as its capacity goes."""
        running = list(self._running.items())  # on PostgreSQL this is another thread than the loop's
        taken = [item for item, (queue, its_key, _) in running if (queue, its_key) == (work.queue, key)]
        own = (COLUMNS.queue == work.queue) & (COLUMNS.key == key) & COLUMNS.id.not_in(taken)
        own &= (COLUMNS.account == cx.account) & (COLUMNS.region == cx.region) & (COLUMNS.next_at <= time.time())
        waiting = select(work_items).where(own)
        expired = waiting.where(COLUMNS.expires < cx.clock.now()).order_by(COLUMNS.id).limit(MOST_EXPIRED)
        if rows := cx.db.execute(expired).all():
            return [_item(row) for row in rows]
        free = work.capacity(cx, key) - len(taken)
        if free <= 0:
            return []
        return [_item(row) for row in cx.db.execute(waiting.order_by(COLUMNS.id).limit(free))]

    async def _do(self, work: Work, item: Item) -> None:
        """Do an item until it is done or forgotten, with pauses, and remove it."""
        try:
            while not await self._attempt(work, item):
                await asyncio.sleep(_pause_s(item))
                item = replace(item, attempts=item.attempts + 1)
        finally:
            self._running.pop(item.id, None)
            self.wake()

    async def _attempt(self, work: Work, item: Item) -> bool:
        """Do an item and remove it. Return whether nothing is left to do: false after a failure."""
        cx = self._kernel.context(item.account, item.region)
        try:
            if item.attempts and not await cx.read(lambda inside: is_there(inside, item)):
                return True
            end = await work.do(cx, item)
            await cx.transact(lambda inside: _end(inside, item, end))
        except Exception as error:
            if isinstance(error, AwsError):
                log.warning("%s %s is tried again: %s", item.queue, item.id, error.message)
            else:
                log.exception("%s %s is tried again", item.queue, item.id)
            with contextlib.suppress(Exception):  # what is lost is how long a server that starts meanwhile waits
                await cx.transact(lambda inside: _back_off(inside, item))
            return False
        return True


def _item(row: Any) -> Item:
    return Item(
        row.id, row.queue, row.key, row.account, row.region, row.created, row.expires, row.attempts,
        orjson.loads(row.body),
    )  # fmt: skip


def _end(cx: Context, item: Item, end: Callable[[Context], None] | None) -> None:
    if is_there(cx, item):
        cx.db.execute(delete(work_items).where(COLUMNS.id == item.id))
        if end is not None:
            end(cx)


def _pause_s(item: Item) -> float:
    return min(2.0 ** min(item.attempts, 10), LONGEST_PAUSE_S)


def _back_off(cx: Context, item: Item) -> None:
    values = {"attempts": item.attempts + 1, "next_at": time.time() + _pause_s(item)}
    cx.db.execute(update(work_items).where(COLUMNS.id == item.id).values(values))


WORKER = InMemory[Worker]("core.work")


def start(kernel: Kernel) -> None:
    """Make the worker. Called by the kernel."""
    WORKER.set(kernel, Worker(kernel))


async def listening(kernel: Kernel) -> None:
    """Begin with what was promised, in this run or an earlier one. Called by the kernel, on the loop."""
    worker = WORKER.of(kernel)
    worker.task = asyncio.get_running_loop().create_task(worker.run(), name="do promised work")


def stop(kernel: Kernel) -> None:
    """Stop; what is not done stays promised. Called by the kernel, from a thread."""
    worker = WORKER.get(kernel)
    if worker is not None and worker.task is not None:
        EVENT_LOOP.of(kernel).call_soon_threadsafe(worker.task.cancel)
