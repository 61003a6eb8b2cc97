"""How requests reach a service: at its address while it is healthy, else after it was started again. In memory.

The driver of a service opens and closes its `Reach`; whoever carries requests to it asks for `reached`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backends.core.memory import InMemory
from backends.jobs.queue import DISPATCHER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backends.core.kernel import Kernel

Address = tuple[str, int]
WAIT_S = 300.0


class Reach:
    """One service's address while it is healthy, its uses, and who waits for it. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._uses = 0
        self._used_at = time.monotonic()
        self._waiting: list[Future[Address]] = []

    def open(self, address: Address) -> None:
        """Let requests reach the service at an address."""
        with self._lock:
            if self._address is None:
                self._used_at = time.monotonic()
            self._address = address
            self._settle(lambda waiting: waiting.set_result(address))

    def close(self) -> None:
        """Let no request reach the service; those that come wait for it."""
        with self._lock:
            self._address = None

    def close_if_unused(self, idle_s: float) -> bool:
        """Close, and return True, when nobody uses the service or has for so long."""
        with self._lock:
            if self._uses or time.monotonic() - self._used_at < idle_s:
                return False
            self._address = None
            return True

    def fail(self, error: Exception) -> None:
        """Raise an error where the service is waited for."""
        with self._lock:
            self._settle(lambda waiting: waiting.set_exception(error))

    def is_wanted(self) -> bool:
        """Return whether somebody waits for the service."""
        with self._lock:
            return any(not waiting.done() for waiting in self._waiting)

    def begin(self) -> Future[Address]:
        """Count a use, until `end`; the future's result is the address."""
        with self._lock:
            self._uses += 1
            future: Future[Address] = Future()
            if self._address is not None:
                future.set_result(self._address)
            else:
                self._waiting.append(future)
            return future

    def end(self) -> None:
        """Count a use no more."""
        with self._lock:
            self._uses -= 1
            self._used_at = time.monotonic()

    def _settle(self, settle: Callable[[Future[Address]], None]) -> None:
        for waiting in self._waiting:
            if waiting.set_running_or_notify_cancel():
                settle(waiting)
        self._waiting.clear()


class Reachable:
    """The services of one server, by the ARN of their resource."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_arn: dict[str, Reach] = {}

    def of(self, arn: str) -> Reach:
        """Return how a resource's service is reached."""
        with self._lock:
            return self._by_arn.setdefault(arn, Reach())

    def forget(self, arn: str) -> None:
        """Forget a service that is gone for good; who waits for it is refused."""
        with self._lock:
            gone = self._by_arn.pop(arn, None)
        if gone is not None:
            gone.close()
            gone.fail(LookupError(f"{arn} is gone"))


REACHABLE = InMemory[Reachable]("jobs.reachable", lambda _: Reachable())


@asynccontextmanager
async def reached(kernel: Kernel, arn: str, timeout_s: float = WAIT_S) -> AsyncIterator[Address]:
    """Use a resource's service: yield its address, after it was started where it had been stopped for idleness.

    StartError where it cannot be started, LookupError where it was deleted, TimeoutError where neither comes in time. Only
    for a resource that has a service: of any other it waits.
    """
    reach = REACHABLE.of(kernel).of(arn)
    address = reach.begin()
    try:
        if not address.done():
            DISPATCHER.of(kernel).notify(arn)
        async with asyncio.timeout(timeout_s):
            known = await asyncio.wrap_future(address)
        yield known
    finally:
        reach.end()
