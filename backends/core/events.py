"""The event log: one row for every change of status, and one delivery row for each subscriber.

Both are written in the transaction of the change. Deliveries run after its commit, in order per ARN and subscriber, at
least once: a listener's database work and the end of its delivery commit together; what it does elsewhere must be
idempotent. A failing listener backs off (1 s, 2 s, 4 s, ...), is parked after ten attempts, and shows in the health page
until `retry`. Only the first that waits of an ARN and subscriber is ever due, so that what one failing listener holds up
keeps nobody else waiting. Events are kept for RETENTION_S, and as long as a delivery waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import bindparam, delete, exists, func, insert, select, update

from backends.core.memory import InMemory
from backends.core.prepared import Prepared
from backends.core.tables import deliveries, events
from backends.core.types import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.db import Transaction
    from backends.core.types import Context, Server

log = logging.getLogger(__name__)
Listener = TypeVar("Listener", bound="Callable[..., None]")
MAX_ATTEMPTS = 10
BATCH = 100
RETENTION_S = 30 * 24 * 3600.0
IDLE_S = 1.0
WRITTEN = InMemory["Callable[[Any, str, str, str], None]"]("core.events.written")
"""`WRITTEN.of(kernel)(cx, kind, arn, new)` is told of each event in the transaction that writes it; stored by EventBridge."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one resource: `kind` is its noun, `old` and `new` its statuses.

    `detail["caller"]` is the ARN of the session or user whose request it was, where the server issued its key.
    """

    id: int
    time: float
    account: str
    region: str
    kind: str
    arn: str
    old: str
    new: str
    reason: str
    detail: dict[str, Any]

    @property
    def caller(self) -> str:
        """The ARN of whose request it was; empty for an account's own and for the server's."""
        return str(self.detail.get("caller", ""))


def on(kind: str, *, name: str, to: tuple[str, ...] = ()) -> Callable[[Listener], Listener]:
    """Mark `def listener(cx, event)` as one that hears a kind's events. It runs in a transaction and must not wait.

    `name` (`<component>.<what it does>`) is unique and never changes.
    """

    def mark(listener: Listener) -> Listener:
        listener.__dict__["subscriptions"] = (Subscription(name, kind, frozenset(to), listener),)
        return listener

    return mark


_INSERT = Prepared(
    insert(events).returning(events.c.id),
    ("time", "account", "region", "kind", "arn", "old", "new", "reason", "detail"),
)


_FRESH = {"attempts": 0, "next_at": 0.0, "parked": False, "error": ""}
_DELIVER = Prepared(insert(deliveries), ("event_id", "subscriber", "arn", *_FRESH))


def emit(
    cx: Context, kind: str, arn: str, old: str, new: str, reason: str = "", detail: dict[str, Any] | None = None
) -> None:
    """Write an event and its deliveries in the running transaction."""
    row = {
        "time": cx.clock.now(),
        "account": cx.account,
        "region": cx.region,
        "kind": kind,
        "arn": arn,
        "old": old,
        "new": new,
        "reason": reason.replace("\0", ""),  # which PostgreSQL's text does not take; containers write any
        "detail": orjson.dumps({**(detail or {}), **({"caller": cx.caller.arn} if cx.caller.arn else {})}),
    }
    ((event_id,),) = _INSERT.rows(cx.transaction, row)
    heard_by = [s for s in cx.kernel.subscriptions.get(kind, ()) if not s.to or new in s.to]
    if heard_by:
        _DELIVER.run_many(
            cx.transaction, [{**_FRESH, "event_id": event_id, "subscriber": s.name, "arn": arn} for s in heard_by]
        )
        cx.transaction.after_commit.append(cx.kernel.deliverer.wake)
    if (written := WRITTEN.get(cx.kernel)) is not None:
        written(cx, kind, arn, new)
    cx.transaction.after_commit.append(lambda: cx.kernel.changed.notify(arn))


_earlier = deliveries.alias("earlier")
_DUE = (
    select(deliveries, events)
    .join_from(deliveries, events, deliveries.c.event_id == events.c.id)
    .where(deliveries.c.parked.is_(False), deliveries.c.next_at <= bindparam("now"))
    .where(
        ~exists().where(
            _earlier.c.arn == deliveries.c.arn,
            _earlier.c.subscriber == deliveries.c.subscriber,
            _earlier.c.event_id < deliveries.c.event_id,
            _earlier.c.parked.is_(False),
        )
    )
    .order_by(deliveries.c.event_id)
    .limit(BATCH)
)
_FIRST = select(func.min(deliveries.c.event_id)).where(
    deliveries.c.arn == bindparam("arn"),
    deliveries.c.subscriber == bindparam("subscriber"),
    deliveries.c.parked.is_(False),
)
_BY_ID = (deliveries.c.event_id == bindparam("event")) & (deliveries.c.subscriber == bindparam("name"))


class Deliverer:
    """Delivers events to their listeners, on the event loop, one transaction each."""

    def __init__(self, kernel: Server) -> None:
        self._kernel = kernel
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._wake.clear()
            try:
                progress = await self.deliver_due()
            except Exception:
                log.exception("events could not be delivered; they are tried again")
                await asyncio.sleep(IDLE_S)
                continue
            if not progress:
                # Not wait_for: on Python 3.11 it can swallow a cancellation that comes together with the wake.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_S):
                        await self._wake.wait()

    async def deliver_due(self) -> bool:
        """Deliver what is due; tell whether anything was."""
        rows = await self._kernel.db.read(
            lambda tx: tx.connection.execute(_DUE, {"now": time.time()}).all()  # back-off is real time
        )
        progress = False
        for row in rows:
            progress |= await self._deliver(row)
        return progress

    async def _deliver(self, row: Any) -> bool:
        subscription = self._kernel.subscription(row.subscriber)
        key = {"event": row.event_id, "name": row.subscriber}
        if subscription is None:  # written by a version that had this listener: whoever knows it again may retry
            await self._kernel.db.write(lambda tx: _park(tx, key, "this version has no listener of this name"))
            return True

        def work(tx: Transaction) -> bool:
            first = tx.connection.execute(_FIRST, {"arn": row.arn, "subscriber": row.subscriber}).scalar_one()
            if first != row.event_id:  # an earlier event of this ARN still waits for its retry
                return False
            cx = self._kernel.context(row.account, row.region, tx=tx)
            subscription.handler(cx, _event(row))
            tx.connection.execute(delete(deliveries).where(_BY_ID), key)
            return True

        try:
            return await self._kernel.db.write(work)
        except Exception as error:
            log.exception("event %s: listener %s failed", row.event_id, row.subscriber)
            text = repr(error)
            await self._kernel.db.write(lambda tx: _back_off(tx, row, text))
            return True


def _park(tx: Transaction, key: dict[str, Any], error: str) -> None:
    tx.connection.execute(update(deliveries).where(_BY_ID).values(parked=True, error=error), key)


def _back_off(tx: Transaction, row: Any, error: str) -> None:
    attempts = row.attempts + 1
    next_at = time.time() + 2.0 ** (attempts - 1)
    if attempts < MAX_ATTEMPTS:  # those behind it wait as long: they would be looked at in vain at every turn
        tx.connection.execute(
            update(deliveries)
            .where(
                deliveries.c.arn == row.arn, deliveries.c.subscriber == row.subscriber, deliveries.c.parked.is_(False)
            )
            .values(next_at=next_at)
        )
    tx.connection.execute(
        update(deliveries).where(_BY_ID),
        {
            "event": row.event_id,
            "name": row.subscriber,
            "attempts": attempts,
            "next_at": next_at,
            "parked": attempts >= MAX_ATTEMPTS,
            "error": error,
        },
    )


def _event(row: Any) -> Event:
    return Event(
        row.event_id, row.time, row.account, row.region, row.kind, row.arn, row.old, row.new, row.reason,
        orjson.loads(row.detail),
    )  # fmt: skip


def parked(tx: Transaction) -> list[dict[str, Any]]:
    """List the deliveries that were given up, for the health page."""
    rows = tx.connection.execute(select(deliveries).where(deliveries.c.parked.is_(True)).limit(BATCH))
    return [{"event": r.event_id, "subscriber": r.subscriber, "arn": r.arn, "error": r.error} for r in rows]


def retry(tx: Transaction) -> int:
    """Make every parked delivery due again, as if it had never been tried; return how many there were."""
    fresh = {"parked": False, "attempts": 0, "next_at": 0.0}
    return tx.connection.execute(update(deliveries).where(deliveries.c.parked.is_(True)).values(fresh)).rowcount


def forget_old(tx: Transaction, now: float) -> int:
    """Delete some events past their retention that nobody waits for; return how many."""
    first = select(events.c.id).order_by(events.c.id).limit(10 * BATCH)
    waiting = exists().where(deliveries.c.event_id == events.c.id)
    old = delete(events).where(events.c.id.in_(first), events.c.time < now - RETENTION_S, ~waiting)
    return tx.connection.execute(old).rowcount


class Changed:
    """Wakes those who wait for any resource to change (held waiters); one shared future, replaced at each change.

    `listeners` are called with the ARN of a resource that an event was about, on the loop, and must return at once.
    """

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self.listeners: list[Callable[[str], None]] = []

    def notify(self, arn: str = "") -> None:
        """Wake everybody who waits."""
        for listener in self.listeners if arn else ():
            listener(arn)
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(None)

    async def wait(self, timeout_s: float) -> None:
        """Wait for the next change, at most `timeout_s` seconds."""
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._future], timeout=timeout_s)
