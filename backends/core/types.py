"""The vocabulary of the kernel's modules: what each of them may use of a context and of a server.

`kernel.py` has the concrete `Context` and `Kernel`, which stand on all of them; components use these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from sqlalchemy import Connection

    from backends.core.clock import Clock
    from backends.core.db import Database, Transaction
    from backends.core.objects.rows import Bucket
    from backends.core.operation import Operation
    from backends.core.settings import Settings

T = TypeVar("T")
DEFAULT_ACCOUNT, DEFAULT_REGION = "000000000000", "us-east-1"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed: the access key as sent, the role session that an issued one stands for. `tags`: of a session without a key."""

    access_key: str = ""
    arn: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One listener: the kind and the new statuses it hears (empty: all of them), under a name that stays.

    Deliveries are stored under the name: it outlives functions that are renamed and modules that are moved.
    """

    name: str
    kind: str
    to: frozenset[str]
    handler: Callable[..., None]


class HasMemory(Protocol):
    """Keeps what components keep in a server's memory; they read it through `InMemory`."""

    @property
    def state(self) -> dict[str, Any]:
        """Values by the names of their `InMemory`."""


class Wakes(Protocol):
    """Looks for work, when woken."""

    def wake(self) -> None:
        """Look now."""


class Notifies(Protocol):
    """Wakes those who wait for a change."""

    def notify(self, arn: str = "") -> None:
        """Wake everybody; `arn` says what an event was about."""


class Buckets(Protocol):
    """Knows the buckets of S3."""

    def bucket(self, cx: Context, name: str) -> Bucket | None:
        """Return a bucket by its name, None where there is none."""


class Server(HasMemory, Protocol):
    """What one server process gives to the modules below the kernel."""

    @property
    def db(self) -> Database:
        """The state database."""

    @property
    def secret(self) -> bytes:
        """What the installation signs with."""

    @property
    def operations(self) -> Mapping[tuple[str, str], Operation]:
        """Handlers, by service and operation."""

    @property
    def subscriptions(self) -> Mapping[str, tuple[Subscription, ...]]:
        """Listeners, by kind."""

    @property
    def deliverer(self) -> Wakes:
        """Delivers events."""

    @property
    def changed(self) -> Notifies:
        """Wakes held waiters."""

    def subscription(self, name: str) -> Subscription | None:
        """Find a listener by its name."""

    def context(self, account: str, region: str, *, tx: Transaction | None = None) -> Context:
        """Make a context."""

    def forget_key(self, access_key: str) -> None:
        """Forget what is remembered of an issued key."""


class Context(Protocol):
    """What one operation, listener or loop acts in (`cx`)."""

    @property
    def kernel(self) -> Server:
        """The server."""

    @property
    def account(self) -> str:
        """For which account."""

    @property
    def region(self) -> str:
        """In which region."""

    @property
    def caller(self) -> Caller:
        """By whom."""

    @property
    def request_id(self) -> str:
        """For which request."""

    @property
    def tx(self) -> Transaction | None:
        """The running transaction, if one is open."""

    @property
    def transaction(self) -> Transaction:
        """The running transaction."""

    @property
    def db(self) -> Connection:
        """Its connection."""

    @property
    def clock(self) -> Clock:
        """The account's clock."""

    @property
    def objects(self) -> Buckets:
        """The bytes of S3."""

    @property
    def settings(self) -> Settings:
        """What the user decided at start."""

    def acting_as(self, caller: Caller) -> Self:
        """Return this context by somebody else."""

    async def transact(self, work: Callable[[Self], T]) -> T:
        """Run `work` in a transaction and return after its commit."""

    def write(self, work: Callable[[Self], T]) -> T:
        """Run `work` in a transaction, from a thread, and wait for the commit."""
