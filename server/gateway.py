"""Every AWS request, from bytes to bytes. The lists of steps are the map of the server: read them first.

A pure ASGI front: a FastAPI route costs three times as much (bench/README.md), so FastAPI sees only the admin API and
the console. Handlers know nothing of HTTP: they take the parsed request and give a dict, or raise AwsError.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import orjson

from api_specs import model
from backends.core import errors
from server import authentication, authorize, body, browser, registry, route, steps, validation
from server.authentication import single
from server.exchange import Exchange, request_of
from server.listener import hosts
from server.s3 import authentication as s3_authentication
from server.s3 import cors, forms
from server.s3 import requests as s3_requests
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backends.core.kernel import Kernel
    from server.types import App, Receive, Scope, Send

    Step = Callable[[Exchange], Awaitable[None]]

log = logging.getLogger(__name__)
OURS = ("/_localmaker", "/_localstack")  # no bucket name begins with an underscore

FIRST_STEPS: tuple[Step, ...] = (browser.guard, steps.identify_caller, steps.find_service)
"""Of every request; which steps follow is the service's."""

LAST_STEPS: tuple[Step, ...] = (steps.parse, validation.check, authorize.authorize, steps.dispatch, steps.serialize)
"""From an operation and its bytes to the answer's."""

STEPS: tuple[Step, ...] = (
    steps.read_body,
    single.check,
    browser.refuse_foreign,
    authentication.authenticate,
    steps.find_operation,
    steps.forward_shared,
    *LAST_STEPS,
)

S3_STEPS: tuple[Step, ...] = (
    s3_requests.read_path,
    single.check,
    cors.refuse_foreign,
    s3_authentication.authenticate,
    cors.preflight,
    forms.upload,
    steps.find_operation,
    s3_requests.read_body,
    *LAST_STEPS,
)
"""S3 takes what nobody signed, pages that a bucket's CORS rules let in, and uploads by form; it streams its bodies."""

MOTO_STEPS: tuple[Step, ...] = (
    steps.read_body,
    single.check,
    browser.refuse_foreign,
    authentication.authenticate,
    authorize.authorize_other,
    steps.forward_to_moto,
)
"""Of the services that are not ours."""

STEPS_OF = {"s3": S3_STEPS, route.OTHER: MOTO_STEPS}
"""By service; of all others STEPS. Docker's registry is no service of AWS's: server/registry has its steps."""

LAST_HEADERS = (cors.add_headers, browser.add_headers)
"""What browsers need to know of any answer, an error's too."""


async def answer(exchange: Exchange) -> HttpResponse:
    """Take an exchange through its steps; any AwsError takes the same way out."""
    try:
        response = await _through(FIRST_STEPS, exchange)
        if response is None:
            response = await _through(STEPS_OF.get(exchange.service, STEPS), exchange)
    except errors.AwsError as error:
        return failure(exchange, error)
    except body.ClientGoneError:
        return failure(exchange, errors.AwsError("IncompleteBody", "The request body terminated unexpectedly"))
    except Exception as error:
        if errors.is_disk_full(error):
            return failure(exchange, errors.disk_full())
        if errors.is_nul(error):
            code = validation.code(exchange.service, [])
            return failure(exchange, errors.AwsError(code, "Text must not hold the character NUL."))
        log.exception("%s %s failed (request %s)", exchange.service, exchange.operation, exchange.request_id)
        return failure(exchange, errors.AwsError("InternalFailure", "An internal failure occurred.", status=500))
    assert response is not None, "the last step gives a response"
    return response


async def _through(following: tuple[Step, ...], exchange: Exchange) -> HttpResponse | None:
    """Take an exchange through some steps, up to the one that answers; None if none does."""
    for step in following:
        await step(exchange)
        if exchange.response is not None:
            return exchange.response
    return None


def failure(exchange: Exchange, error: errors.AwsError) -> HttpResponse:
    """Write an error in the protocol of the service that was asked."""
    exchange.service = exchange.service or route.spoken_like(exchange.request)
    service = model.load_service(exchange.service)
    response: HttpResponse = exchange.protocol.serialize_error(service, exchange.operation, error, exchange.request_id)
    if exchange.request.method == "HEAD":
        response.body = b""
    stream = exchange.request.stream
    if isinstance(stream, body.BodyStream) and not stream.started and "expect" in exchange.request.headers:
        # The client waits for leave to send its body, and will not: the connection cannot carry another request.
        response.headers.append(("Connection", "close"))
    return response


class Gateway:
    """The ASGI application: AWS requests here, everything of ours in FastAPI."""

    def __init__(self, kernel: Kernel, make_app: Callable[[], App]) -> None:
        self.kernel = kernel
        self._make_app = make_app
        self._app: App | None = None
        self.started = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http" or (scope["path"].startswith(OURS) and not _is_key(scope)):
            if self._app is None:
                self._app = self._make_app()  # imported on first use: FastAPI is a third of the start-up time
            await self._admit(scope, receive, send)
        else:
            exchange = Exchange(self.kernel, request_of(scope), scope, receive)
            docker = registry.is_for_registry(exchange.request)  # the OCI Distribution API, no protocol of AWS's
            response = await (registry.answer(exchange) if docker else answer(exchange))
            for add in LAST_HEADERS:
                await add(exchange, response)
            await body.send(response, exchange.request.method, send, receive)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request to the admin API and the console in, unless a browser sends it for another page."""
        assert self._app is not None
        request = request_of(scope)
        try:
            browser.check_host(request.host, self.kernel.settings)
            if browser.is_foreign(request.headers, request.host):
                raise browser.refusal()
            authentication.check_admin(self.kernel, request)
        except errors.AwsError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})  # RFC 6455: policy violation
                return
            content = orjson.dumps({"detail": error.message})
            refused = HttpResponse(error.status, [("Content-Type", "application/json")], content)
            await body.send(refused, request.method, send)
        else:
            await self._app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.kernel.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.kernel.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _is_key(scope: Scope) -> bool:
    """Return whether a path of ours is an object's key: at AWS's names there is nothing of ours, but buckets are."""
    return hosts.aws_host(request_of(scope).host) is not None
