"""Held answers for botocore's waiters: a two-second job's `wait()` takes two seconds and not two minutes.

botocore marks a waiter's calls in its User-Agent (feature id `B` in `m/...`). Such a Describe is held until one of the
operation's waiters (waiters-2.json) would stop on the answer. After a second the answer's header goes out, and then
a white-space byte now and then, which JSON ignores, so that the client's read time-out does not fire.
An ordinary Describe is never held.
"""

from __future__ import annotations

import asyncio
import re
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import jmespath
import orjson

from api_specs import model
from backends.core.errors import AwsError
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backends.core.context import Context
    from server.exchange import Exchange

FEATURES = re.compile(r"(?:^| )m/([A-Za-z0-9+,-]*)")
WAITER = "B"
HEADER_AFTER_S = 1.0
SPACE_EVERY_S = 1.0
HOLD_DELETION_S = 25.0
HOLD_S = 3600.0
RECHECK_S = 1.0  # another server on the same database wakes nobody here


def is_waiter(user_agent: str) -> bool:
    """Return whether botocore made the call from a waiter."""
    matched = FEATURES.search(user_agent)
    return matched is not None and WAITER in matched[1].split(",")


@cache
def acceptors(service: str, operation: str) -> tuple[tuple[str, Any, str], ...]:
    """Return (matcher argument or '', expected, state) of every acceptor of the operation's waiters that ends a wait."""
    return tuple(
        (entry.get("argument", ""), entry["expected"], entry["state"])
        for waiter in model.waiters(service).values()
        if waiter["operation"] == operation
        for entry in waiter["acceptors"]
    )


def ends(service: str, operation: str, answer: dict[str, Any]) -> bool:
    """Return whether a waiter of the operation would stop on this answer."""
    return any(
        argument and state != "retry" and jmespath.search(argument, answer) == expected
        for argument, expected, state in acceptors(service, operation)
    )


def awaits_deletion(answer: dict[str, Any]) -> bool:
    """Return whether the resource is on its way out: what ends that wait is an error."""
    return any(value == "Deleting" for key, value in answer.items() if key.endswith("Status"))


async def read_held(exchange: Exchange, cx: Context, handler: Callable[[Context], Any]) -> Any:
    """Read; for a waiter's call, hold the answer until the wait can end."""
    output = await cx.read(handler)
    name = exchange.operation.name if exchange.operation is not None else ""
    if not is_waiter(exchange.request.headers.get("user-agent", "")) or not acceptors_known(exchange.service, name):
        return output
    began = time.monotonic()
    # The body is read: what comes next from this client is its leaving.
    gone = asyncio.ensure_future(exchange.receive())
    while not done(exchange.service, name, output, time.monotonic() - began) and not gone.done():
        await cx.kernel.changed.wait(RECHECK_S)
        output = await cx.read(handler)
        if time.monotonic() - began > HEADER_AFTER_S:
            return trickled(exchange, cx, handler, began, output, gone)
    gone.cancel()
    return output


def acceptors_known(service: str, operation: str) -> bool:
    """Return whether the service has a waiter on this operation."""
    return service == "sagemaker" and bool(acceptors(service, operation))


def done(service: str, operation: str, output: Any, held_s: float) -> bool:
    """Return whether an answer need not be held any longer."""
    answer = orjson.loads(output) if isinstance(output, bytes) else output
    if ends(service, operation, answer):
        return True
    return held_s > (HOLD_DELETION_S if awaits_deletion(answer) else HOLD_S)


def trickled(
    exchange: Exchange,
    cx: Context,
    handler: Callable[[Context], Any],
    began: float,
    known: Any,
    gone: asyncio.Future[Any],
) -> HttpResponse:
    """Answer with the header now, white space for as long as it takes, and the document at the end."""
    assert exchange.operation is not None
    operation = exchange.operation
    head = exchange.protocol.serialize(operation, {}, exchange.request_id)

    async def chunks() -> AsyncIterator[bytes]:
        last_space = time.monotonic()
        output = known
        while not gone.done():
            try:
                output = await cx.read(handler)
            except AwsError:
                # The status line is gone; the last known document makes the client ask again, and get the error.
                break
            if done(exchange.service, operation.name, output, time.monotonic() - began):
                break
            await cx.kernel.changed.wait(RECHECK_S)
            if time.monotonic() - last_space >= SPACE_EVERY_S:
                last_space = time.monotonic()
                yield b" "
        gone.cancel()
        body: bytes = exchange.protocol.serialize(operation, output, exchange.request_id).body
        yield body

    headers = [(name, value) for name, value in head.headers if name.lower() != "content-length"]
    return HttpResponse(200, headers, chunks())
