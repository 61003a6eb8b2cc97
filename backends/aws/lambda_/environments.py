"""Execution environments: which of a function there are, who uses one, who waits for one. In memory; `engine.py` runs them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.core.memory import InMemory

if TYPE_CHECKING:
    import http.client

    from backends.aws.lambda_.functions import Function

AT_ONCE = 10
"""How many invocations of a function run at once on one machine; further ones wait, unless its own reserve is smaller."""


class TooManyError(Exception):
    """The function's reserved concurrency is used up."""


@dataclass(eq=False, slots=True)
class Environment:
    """One execution environment, from the moment somebody waits for it. `ready`: its address, or why it could not begin."""

    identity: str
    function: Function
    ready: Future[tuple[str, int]] = field(default_factory=Future)
    is_used: bool = True
    is_closed: bool = False
    used_at: float = field(default_factory=time.monotonic)
    connection: http.client.HTTPConnection | None = None


class Environments:
    """All of one server. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: defaultdict[str, list[Environment]] = defaultdict(list)
        self._waiting: defaultdict[str, deque[Future[Environment | None]]] = defaultdict(deque)
        self._by_job: dict[str, Environment] = {}

    def take(self, function: Function) -> Environment | Future[Environment | None] | None:
        """Take one that is free; else None where another may be started, or a future of one (None: try again). TooManyError."""
        identity, reserved = function.identity, function.shown["ReservedConcurrentExecutions"]
        most = AT_ONCE if reserved is None else min(AT_ONCE, int(reserved))
        with self._lock:
            of = [each for each in self._of.get(identity, ()) if not each.is_closed]
            for each in of:
                if not each.is_used:
                    each.is_used = True
                    return each
            if len(of) < most:
                return None
            if reserved is not None and int(reserved) <= most:
                raise TooManyError
            future: Future[Environment | None] = Future()
            self._waiting[identity].append(future)
            return future

    def begin(self, job: str, function: Function) -> Environment:
        """Note one that a job will run, used by whoever wants it."""
        with self._lock:
            made = self._by_job[job] = Environment(function.identity, function)
            self._of[made.identity].append(made)
            return made

    def of_job(self, job: str) -> Environment | None:
        """Return the one that a job runs; None for a job of a server that is gone."""
        with self._lock:
            return self._by_job.get(job)

    def release(self, environment: Environment, *, is_broken: bool = False) -> None:
        """Let the next one have it; nobody has one that did not answer, which is to end."""
        with self._lock:
            environment.is_closed |= is_broken
            environment.used_at = time.monotonic()
            waiting = self._waiting[environment.identity]
            while waiting and not environment.is_closed:
                future = waiting.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_result(environment)
                    return
            environment.is_used = False

    def close_if_unused(self, environment: Environment, idle_s: float) -> bool:
        """Close one, and return True, when nobody uses it or has for so long."""
        with self._lock:
            if environment.is_used or time.monotonic() - environment.used_at < idle_s:
                return False
            environment.is_closed = True
            return True

    def close_all(self, account: str | None) -> None:
        """Let those of an account (None: all) end, whoever uses them."""
        with self._lock:
            for each in self._by_job.values():
                if account is None or each.function.account == account:
                    each.is_closed = True

    def close(self, job: str, environment: Environment) -> None:
        """Forget one that has ended; who waits looks again."""
        with self._lock:
            environment.is_closed = True
            self._by_job.pop(job, None)
            kept = [each for each in self._of.pop(environment.identity, []) if each is not environment]
            if kept:
                self._of[environment.identity] = kept
            waiting = self._waiting.pop(environment.identity, deque())
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(None)


ENVIRONMENTS = InMemory[Environments]("lambda.environments", lambda _kernel: Environments())
