"""The steps of `gateway.STEPS` that need no module of their own: whose request it is, what for, and the handler's call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from api_specs import ledger
from backends.core import calls, errors
from server import authorize, body, identify, moto_proxy, route, waiters
from server.types import HttpResponse

if TYPE_CHECKING:
    from server.exchange import Exchange

COMPRESSED = "cloudwatch"
"""The one service of ours whose model has `requestcompression`."""


async def identify_caller(exchange: Exchange) -> None:
    """Read account, region and signing name from the signature."""
    exchange.identity = identify.identify(exchange.kernel, exchange.request)


async def find_service(exchange: Exchange) -> None:
    """Find the service. Where nobody signed and no target says it, the body does: a query's Action."""
    request = exchange.request
    assert exchange.identity is not None
    told = exchange.identity.signing_name or "x-amz-target" in request.headers or request.method != "POST"
    if not told and not route.is_upload(request):
        await read_whole(exchange)
    exchange.service = route.service_of(request, exchange.identity)


async def read_whole(exchange: Exchange) -> None:
    """Read the body into memory, unless it is there already; 413 for one that is too large."""
    if not exchange.body_read:
        limit = exchange.kernel.settings.max_body_bytes
        exchange.request.body = await body.read_whole(exchange.scope, exchange.receive, limit)
        exchange.body_read = True


async def read_body(exchange: Exchange) -> None:
    """Read the body of a service that streams none, and unpack it."""
    await read_whole(exchange)
    if exchange.service == COMPRESSED:
        exchange.request.body = body.unpacked(exchange.request, exchange.kernel.settings.max_body_bytes)


async def find_operation(exchange: Exchange) -> None:
    """Find the operation: by target, by Action, or by method and path."""
    exchange.operation = route.operation_of(exchange.service, exchange.request)


async def forward_shared(exchange: Exchange) -> None:
    """Let moto answer an operation that a service of ours shares with it."""
    assert exchange.operation is not None
    key = (exchange.service, exchange.operation.name)
    if exchange.service in route.SHARED_WITH_MOTO and key not in exchange.kernel.operations:
        await authorize.authorize_other(exchange)
        await forward_to_moto(exchange)


async def forward_to_moto(exchange: Exchange) -> None:
    """Let moto answer, whole."""
    exchange.response = await moto_proxy.answer(exchange.kernel, exchange.request, exchange.identity)


async def parse(exchange: Exchange) -> None:
    """Turn bytes into a dict by the operation's input shape."""
    assert exchange.operation is not None
    exchange.input = exchange.protocol.parse(exchange.operation, exchange.request)


async def dispatch(exchange: Exchange) -> None:
    """Call the handler: reads at once, writes in a transaction, waiting ones outside any."""
    assert exchange.operation is not None
    cx, name = exchange.context(), exchange.operation.name
    registered = exchange.kernel.operations.get((exchange.service, name))
    if registered is None:
        missing = ledger.line(exchange.service, name).missing
        raise errors.not_implemented(f"{exchange.service}:{name}{missing and f', which waits for {missing}'}")
    handler, given = registered.handler, exchange.input
    if registered.waits:
        exchange.output = await handler(cx, given)
    elif not registered.reads:
        exchange.output = await cx.transact(lambda inside: calls.answer(inside, registered, given))
    elif registered.is_long is not None and registered.is_long(given):
        exchange.output = await asyncio.to_thread(cx.look, lambda inside: handler(inside, given))
    else:
        exchange.output = await waiters.read_held(exchange, cx, lambda inside: handler(inside, given))


async def serialize(exchange: Exchange) -> None:
    """Turn the answer into bytes by the operation's output shape."""
    if isinstance(exchange.output, HttpResponse):  # a held waiter whose answer is already on its way
        exchange.response = exchange.output
        return
    exchange.response = exchange.protocol.serialize(exchange.operation, exchange.output, exchange.request_id)
