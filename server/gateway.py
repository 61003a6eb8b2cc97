"""Every AWS request, from bytes to bytes. STEPS is the map of the server: read it first.

A pure ASGI front: a FastAPI route costs three times as much (bench/README.md), so FastAPI sees only the admin API and
the console. Handlers know nothing of HTTP: they take the parsed request and give a dict, or raise AwsError.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import orjson

from api_specs import model, validate
from backends.core import errors
from server import (
    authentication,
    authorize,
    body,
    browser,
    identify,
    moto_proxy,
    presigned,
    registry,
    route,
    waiters,
)
from server.authentication import single
from server.exchange import Exchange, request_of
from server.listener import hosts
from server.s3 import authentication as s3_authentication
from server.s3 import cors, forms
from server.s3 import requests as s3_requests
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.kernel import Kernel
    from server.types import App, HttpRequest, Receive, Scope, Send

log = logging.getLogger(__name__)
OURS = ("/_localmaker", "/_localstack")  # no bucket name begins with an underscore


async def identify_caller(exchange: Exchange) -> None:
    """Read account, region and signing name from the signature."""
    exchange.identity = identify.identify(exchange.kernel, exchange.request)


async def route_service(exchange: Exchange) -> None:
    """Find the service, and read the body unless the operation streams it."""
    request = exchange.request
    assert exchange.identity is not None
    known = exchange.identity.signing_name or "x-amz-target" in request.headers
    if known or request.method != "POST" or s3_requests.is_form(request):
        exchange.service = route.service_of(request, exchange.identity)
    if exchange.service != "s3":
        limit = exchange.kernel.settings.max_body_bytes
        request.body = await body.read_whole(exchange.scope, exchange.receive, limit)
        exchange.service = exchange.service or route.service_of(request, exchange.identity)
        if exchange.service == "cloudwatch":  # the one service of ours whose model has `requestcompression`
            request.body = body.unpacked(request, limit)
    if exchange.service == "s3":
        s3_requests.check_path(request)
        route.virtual_host(request)
        if request.method != "OPTIONS":  # a preflight is nobody's: the request that follows is looked at
            presigned.check_expiry(request)


async def route_operation(exchange: Exchange) -> None:
    """Find the operation; what no service of ours has goes to moto, which answers whole."""
    if exchange.service == route.OTHER:
        await authorize.authorize_other(exchange)
        exchange.response = await moto_proxy.answer(exchange.kernel, exchange.request, exchange.identity)
        return
    if exchange.service == "s3" and exchange.request.method in {"OPTIONS", "POST"}:
        preflight = exchange.request.method == "OPTIONS"
        exchange.response = await (cors.preflight(exchange) if preflight else forms.upload(exchange))
        if exchange.response is not None:
            return
    exchange.operation = route.operation_of(exchange.service, exchange.request)
    if exchange.service == "s3" and not exchange.request.body:
        if exchange.operation.has_streaming_input:
            s3_requests.check_length(exchange.request)
            exchange.request.stream = body.stream(exchange.receive)
        elif has_body(exchange.request):
            limit = exchange.kernel.settings.max_body_bytes
            exchange.request.body = await body.read_whole(exchange.scope, exchange.receive, limit)
    key = (exchange.service, exchange.operation.name)
    if key not in exchange.kernel.operations and exchange.service in route.SHARED_WITH_MOTO:
        await authorize.authorize_other(exchange)
        exchange.response = await moto_proxy.answer(exchange.kernel, exchange.request, exchange.identity)


def has_body(request: HttpRequest) -> bool:
    """Return whether a body follows the headers."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def parse(exchange: Exchange) -> None:
    """Turn bytes into a dict by the operation's input shape."""
    assert exchange.operation is not None
    exchange.input = exchange.protocol.parse(exchange.operation, exchange.request)


async def check(exchange: Exchange) -> None:
    """Refuse what the model forbids, with AWS's sentence."""
    assert exchange.operation is not None
    checker = validate.operation_checker(exchange.operation)
    if checker is None:
        return
    phrases: list[str] = []
    checker(exchange.input, None, phrases)
    if phrases:
        raise errors.AwsError(validation_code(exchange.service, phrases), validate.sentence(phrases))


async def dispatch(exchange: Exchange) -> None:
    """Call the handler: reads at once, writes in a transaction, waiting ones outside any."""
    assert exchange.operation is not None
    cx, name = exchange.context(), exchange.operation.name
    registered = exchange.kernel.operations.get((exchange.service, name))
    if registered is None:
        raise errors.not_implemented(f"{exchange.service}:{name}")
    handler, given = registered.handler, exchange.input
    if registered.waits:
        exchange.output = await handler(cx, given)
    elif not registered.reads:
        exchange.output = await cx.transact(lambda inside: handler(inside, given))
    else:
        exchange.output = await waiters.read_held(exchange, cx, lambda inside: handler(inside, given))


async def serialize(exchange: Exchange) -> None:
    """Turn the answer into bytes by the operation's output shape."""
    if isinstance(exchange.output, HttpResponse):  # a held waiter whose answer is already on its way
        exchange.response = exchange.output
        return
    exchange.response = exchange.protocol.serialize(exchange.operation, exchange.output, exchange.request_id)


STEPS = (
    browser.guard,
    identify_caller,
    route_service,
    single.check,
    cors.refuse_foreign,
    s3_authentication.authenticate,
    route_operation,
    parse,
    check,
    authorize.authorize,
    dispatch,
    serialize,
)


def validation_code(service: str, phrases: list[str]) -> str:
    """Return the code of a constraint failure: IAM, STS and the runtime's model call it ValidationError."""
    if service == "s3":  # it has no ValidationException; only its XML documents are nested
        paths = [phrase.partition("' failed ")[0].rpartition(" at '")[2] for phrase in phrases]
        return "MalformedXML" if any("." in path for path in paths) else "InvalidArgument"
    if service in {"iam", "sts"}:
        return "ValidationError"
    if service == "ecr":
        return "InvalidParameterException"
    declared = model.load_service(service).shape_names
    return (
        "ValidationError" if "ValidationError" in declared and service == "sagemaker-runtime" else "ValidationException"
    )


async def answer(exchange: Exchange) -> HttpResponse:
    """Take an exchange through the steps; any AwsError takes the same way out."""
    try:
        for step in STEPS:
            await step(exchange)
            if exchange.response is not None:
                return exchange.response
    except errors.AwsError as error:
        return failure(exchange, error)
    except body.ClientGoneError:
        return failure(exchange, errors.AwsError("IncompleteBody", "The request body terminated unexpectedly"))
    except Exception as error:
        if errors.is_disk_full(error):
            return failure(exchange, errors.disk_full())
        if errors.is_nul(error):
            code = validation_code(exchange.service, []) if exchange.service else "ValidationException"
            return failure(exchange, errors.AwsError(code, "Text must not hold the character NUL."))
        log.exception("%s %s failed (request %s)", exchange.service, exchange.operation, exchange.request_id)
        return failure(exchange, errors.AwsError("InternalFailure", "An internal failure occurred.", status=500))
    raise AssertionError("the last step gives a response")


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
            if exchange.service == "s3" and "origin" in exchange.request.headers:
                await cors.add_headers(exchange, response)
            if "sec-fetch-dest" in exchange.request.headers or "origin" in exchange.request.headers:
                browser.finish(exchange, response)
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
