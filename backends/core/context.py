"""`Context` (`cx`): the only thing handed round. Who asks, for which account and region, inside which transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from backends.core.clock import Clock
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel
    from backends.core.objects import ObjectStore
    from backends.core.settings import Settings

T = TypeVar("T")
DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request: the access key as sent, and the role session it stands for when the server issued it."""

    access_key: str = ""
    arn: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What one operation, listener or loop acts in. Outside a transaction `tx` is None and `db` refuses."""

    kernel: Kernel
    account: str
    region: str
    caller: Caller = Caller()
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
        from backends.core import calls

        return calls.call(self, operation, request, service, role)

    async def call_async(
        self, operation: str, request: dict[str, Any], service: str = "sagemaker", *, role: str = ""
    ) -> dict[str, Any]:
        """Call another component's operation, also one that waits, in transactions of its own."""
        from backends.core import calls

        return await calls.call_async(self, operation, request, service, role)

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
