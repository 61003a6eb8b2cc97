"""The kernel: everything of one server process that outlives a request, wired at one place.

Tests make a kernel of their own on a temporary directory; nothing is patched.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from backends.core import derived, events, idempotency, keys, loops, private, schema
from backends.core.clock import Clocks
from backends.core.context import Caller, Context
from backends.core.db import Database
from backends.core.lease import Lease
from backends.core.objects import ObjectStore
from backends.core.operation import Operation, marked
from backends.core.resource import Resource
from backends.core.search import reindex
from backends.core.tables import installation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from backends.core.db import Transaction
    from backends.core.settings import Settings

log = logging.getLogger(__name__)
KEYS_REMEMBERED = 4096
FORGET_EVERY_S = 60.0


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
        self._children: dict[str, list[Resource]] = {}
        self.subscriptions: dict[str, tuple[events.Subscription, ...]] = {}
        self.loops: tuple[loops.Loop, ...] = ()
        self.deliverer = events.Deliverer(self)
        self.changed = events.Changed()
        self.state: dict[str, Any] = {}  # what a component keeps in memory while the server runs, by component
        self.secret = b""
        self.installation_id = ""
        self._keys: OrderedDict[str, keys.Key | None] = OrderedDict()
        self._keys_lock = threading.Lock()
        self._key_changes = 0
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

    def _derive(self) -> None:
        """Add the operations that declarations come to, and find out who is below whom."""
        written = frozenset(name for service, name in self.operations if service == "sagemaker")
        for value in self.resources.values():
            if value.parent is not None:
                self._children.setdefault(value.parent.noun, []).append(value)
            for operation in derived.operations(value, written):
                self.operations[operation.service, operation.name] = operation

    def children_of(self, noun: str) -> list[Resource]:
        """Return the resources whose parent a noun is."""
        return self._children.get(noun, [])

    def _add(self, operation: Operation) -> None:
        key = (operation.service, operation.name)
        if key in self.operations:
            raise ValueError(f"{operation.service}:{operation.name} has two handlers")
        self.operations[key] = operation

    def subscription(self, name: str) -> events.Subscription | None:
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
        """Find a key that this server issued; None where it did not.

        Either is remembered, for the last few thousand keys asked for, until `forget_key`, which every change calls.
        """
        with self._keys_lock:
            if access_key in self._keys:
                self._keys.move_to_end(access_key)
                return self._keys[access_key]
            changes = self._key_changes
        known = self.db.read_blocking(lambda tx: keys.find(tx, access_key))
        with self._keys_lock:
            if changes == self._key_changes:  # else what was read may be of before the change
                self._keys[access_key] = known
                if len(self._keys) > KEYS_REMEMBERED:
                    self._keys.popitem(last=False)
        return known

    def forget_key(self, access_key: str) -> None:
        """Forget what is remembered of one key, once its change is committed: requests see it from then on."""
        with self._keys_lock:
            self._key_changes += 1
            self._keys.pop(access_key, None)

    def forget_keys(self, account: str | None) -> None:
        """Forget what is remembered of an account's keys (None: of all), after a reset."""
        with self._keys_lock:
            self._key_changes += 1
            for name, key in list(self._keys.items()):
                if account is None or key is None or key.account == account:
                    del self._keys[name]

    def answer(self, cx: Context, operation: Operation, request: dict[str, Any]) -> Any:
        """Run the handler of a sync operation in the running transaction, once for each client token."""
        if operation.reads:
            return operation.handler(cx, request)
        return idempotency.once(cx, operation.service, operation.name, request, lambda: operation.handler(cx, request))

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
        self.state["loop"] = loop
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
