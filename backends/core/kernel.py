"""The kernel: everything of one server process that outlives a request, wired at one place; and what one request acts in.

Each holds the other, so they are one module. It stands on all others of this package, which know of both only what
`types.py` says.

Tests make a kernel of their own on a temporary directory; nothing is patched.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import insert, select

from backends.core import calls, derived, events, idempotency, keys, loops, private, schema
from backends.core.clock import Clocks
from backends.core.db import Database
from backends.core.declared import pages
from backends.core.declared import settings as component_settings
from backends.core.lease import Lease
from backends.core.objects import ObjectStore
from backends.core.operation import Operation, marked
from backends.core.resource import CHILDREN, Resource
from backends.core.search import reindex
from backends.core.tables import installation
from backends.core.types import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from sqlalchemy import Connection

    from backends.core.clock import Clock
    from backends.core.db import Transaction
    from backends.core.settings import Settings
    from backends.core.types import Subscription

log = logging.getLogger(__name__)
T = TypeVar("T")
FORGET_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Context:
    """What one operation, listener or loop acts in. Outside a transaction `tx` is None and `db` refuses."""

    kernel: Kernel
    account: str
    region: str
    caller: Caller = field(default_factory=Caller)
    request_id: str = ""
    tx: Transaction | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """S3 only: the request's headers (lower-case names), for what says how a body is coded and is no member."""

    @property
    def transaction(self) -> Transaction:
        """The running transaction, for `Prepared` statements."""
        if self.tx is None:
            raise RuntimeError("no transaction is open here; use cx.transact, cx.read or kernel.write")
        return self.tx

    @property
    def db(self) -> Connection:
        """The connection of the running transaction."""
        return self.transaction.connection

    @property
    def clock(self) -> Clock:
        """The account's clock."""
        return self.kernel.clocks.of(self.account)

    @property
    def objects(self) -> ObjectStore:
        """The bytes of S3."""
        return self.kernel.objects

    @property
    def settings(self) -> Settings:
        """What the user decided at start."""
        return self.kernel.settings

    def call(
        self, operation: str, request: dict[str, Any], service: str = "sagemaker", *, role: str = ""
    ) -> dict[str, Any]:
        """Call another component's operation in this transaction, by its role where one is given (`calls.py`)."""
        return calls.call(self, operation, request, service, role)

    async def call_async(
        self, operation: str, request: dict[str, Any], service: str = "sagemaker", *, role: str = ""
    ) -> dict[str, Any]:
        """Call another component's operation, also one that waits, in transactions of its own."""
        return await calls.call_async(self, operation, request, service, role)

    def acting_as(self, caller: Caller) -> Context:
        """Return this context by somebody else."""
        return replace(self, caller=caller)

    def inside(self, tx: Transaction) -> Context:
        """Return this context in a transaction; by hand, since `dataclasses.replace` takes three times as long."""
        return Context(self.kernel, self.account, self.region, self.caller, self.request_id, tx, self.headers)

    async def transact(self, work: Callable[[Context], T]) -> T:
        """Run `work` in a transaction and return after its commit; for handlers that are `async`."""
        return await self.kernel.db.write(lambda tx: work(self.inside(tx)))

    async def read(self, work: Callable[[Context], T]) -> T:
        """Run `work`, which only reads."""
        return await self.kernel.db.read(lambda tx: work(self.inside(tx)))

    def write(self, work: Callable[[Context], T]) -> T:
        """Run `work` in a transaction, from an engine's thread, and wait for the commit."""
        return self.kernel.db.write_blocking(lambda tx: work(self.inside(tx)))

    def look(self, work: Callable[[Context], T]) -> T:
        """Run `work`, which only reads, from an engine's thread."""
        return self.kernel.db.read_blocking(lambda tx: work(self.inside(tx)))


class Kernel:
    """Settings, database, clocks, objects, and the tables of operations, listeners and loops."""

    def __init__(self, settings: Settings, modules: Iterable[ModuleType]) -> None:
        self.settings = settings
        self.modules = tuple(modules)
        private.directory(settings.data_dir)
        if not settings.database_url:
            private.database(settings.data_dir / "state.db")
        self.lease = Lease(settings)
        self.db = Database(settings.sqlalchemy_url, settings.durability)
        self.clocks = Clocks()
        self.objects = ObjectStore(settings.data_dir / "objects", durable=settings.durability == "power")
        self.operations: dict[tuple[str, str], Operation] = {}
        self.resources: dict[str, Resource] = {}
        self.subscriptions: dict[str, tuple[Subscription, ...]] = {}
        self.loops: tuple[loops.Loop, ...] = ()
        self.pages: tuple[pages.Page, ...] = ()
        self.deliverer = events.Deliverer(self)
        self.changed = events.Changed()
        self.state: dict[str, Any] = {}  # what a component keeps in memory while the server runs, by component
        self.secret = b""
        self.installation_id = ""
        self._keys = keys.RememberedKeys(self.db)
        self._tasks: list[asyncio.Task[None]] = []
        self._collect()

    def _collect(self) -> None:
        """Read what the modules declare: handlers first, so that they win over derived operations."""
        for module in self.modules:
            for operation in marked(module, "operations"):
                self._add(operation)
            for subscription in marked(module, "subscriptions"):
                if self.subscription(subscription.name) is not None:
                    raise ValueError(f"two listeners are called {subscription.name}")
                heard = self.subscriptions.get(subscription.kind, ())
                self.subscriptions[subscription.kind] = (*heard, subscription)
            self.loops += tuple(marked(module, "loops"))
        for module in self.modules:
            for value in list(vars(module).values()):
                if isinstance(value, Resource) and value.noun not in self.resources:
                    self.resources[value.noun] = value
        self._derive()
        self.pages = pages.declared(self.modules)
        for own in component_settings.declared(self.modules):
            own.of(self)

    def _derive(self) -> None:
        """Add the operations that declarations come to, and find out who is below whom."""
        written = frozenset(name for service, name in self.operations if service == "sagemaker")
        children = CHILDREN.set(self, {})
        for value in self.resources.values():
            if value.parent is not None:
                children.setdefault(value.parent.noun, []).append(value)
            for operation in derived.operations(value, written):
                self.operations[operation.service, operation.name] = operation

    def _add(self, operation: Operation) -> None:
        key = (operation.service, operation.name)
        if key in self.operations:
            raise ValueError(f"{operation.service}:{operation.name} has two handlers")
        self.operations[key] = operation

    def subscription(self, name: str) -> Subscription | None:
        """Find a listener by its name."""
        return next((s for heard in self.subscriptions.values() for s in heard if s.name == name), None)

    def context(
        self, account: str, region: str, *, caller: Caller | None = None, request_id: str = "",
        tx: Transaction | None = None, headers: Mapping[str, str] | None = None,
    ) -> Context:  # fmt: skip
        """Make a context; without a request id, one is made."""
        caller, request_id = caller or Caller(), request_id or str(uuid.uuid4())
        return Context(self, account, region, caller, request_id, tx, headers or {})

    def issued_key(self, access_key: str) -> keys.Key | None:
        """Find a key that this server issued; None where it did not."""
        return self._keys.find(access_key)

    def forget_key(self, access_key: str) -> None:
        """Forget what is remembered of one key; every change calls it."""
        self._keys.forget(access_key)

    def forget_keys(self, account: str | None) -> None:
        """Forget what is remembered of an account's keys (None: of all), after a reset."""
        self._keys.forget_account(account)

    def open(self) -> None:
        """Bring the schema up to date and read what the installation keeps; call before anything is asked."""
        self.lease.acquire(self.db.engine)
        schema.upgrade(self.db.engine)
        self.db.write_blocking(self._open)

    def _open(self, tx: Transaction) -> None:
        rows = {row.name: row.value for row in tx.connection.execute(select(installation))}
        for name, fresh in (("id", uuid.uuid4().hex[:12]), ("secret", secrets.token_hex(32))):
            if name not in rows:
                rows[name] = fresh
                tx.connection.execute(insert(installation), {"name": name, "value": rows[name]})
        self.installation_id, self.secret = rows["id"], bytes.fromhex(rows["secret"])
        self.clocks.load(tx)
        reindex.run(tx, self.resources.values(), rows)

    async def start(self) -> None:
        """Tie the kernel to the running loop, let the components resume their work, deliver events and run the loops."""
        loop = asyncio.get_running_loop()
        self.db.bind(loop)
        loops.EVENT_LOOP.set(self, loop)
        for module in self.modules:
            start = getattr(module, "start", None)
            if start is not None:
                start(self)
        self._tasks = [loop.create_task(self.deliverer.run(), name="deliver events")]
        own = loops.Loop("core.kernel.forget_old", FORGET_EVERY_S, _forget_old)
        self._tasks += [loop.create_task(loops.run(self, entry), name=entry.name) for entry in (own, *self.loops)]

    async def listening(self) -> None:
        """Notify the components that requests are answered: what runs in jobs can reach this server from now on."""
        for module in self.modules:
            hear = getattr(module, "listening", None)
            if hear is not None:
                await hear(self)

    async def stop(self) -> None:
        """Stop loops and components; jobs and endpoints run on, and the next start adopts them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for module in self.modules:
            stop = getattr(module, "stop", None)
            if stop is not None:
                await asyncio.to_thread(stop, self)
        self.lease.release()
        self.db.close()


def _forget_old(kernel: Kernel) -> None:
    kernel.db.write_blocking(lambda tx: events.forget_old(tx, time.time()))
    kernel.db.write_blocking(lambda tx: idempotency.forget_old(tx, time.time()))
