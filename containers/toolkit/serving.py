"""The one HTTP front behind which every model is served: pure ASGI, `GET /ping`, `POST /invocations` (inference.md §1).

A predictor answers a `Request` with a `Reply`. It may be a coroutine, and the body may be an iterator of bytes, which
goes out chunk by chunk. Frameworks would cost more than a small model's prediction (performance.md, Endpoints).
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from containers.toolkit.opt_ml import opt_ml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

DEFAULT_PORT = 8080
_GRACE_S = 25
"""Requests in flight get this long after SIGTERM; SageMaker kills after 30 s."""
_log = logging.getLogger(__name__)


class RequestError(Exception):
    """The request cannot be answered: `status` 400, 406, 413 or 415, and a sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """One invocation. `content_type` and `accept` are lower case and without parameters; `accept` is "" for anything."""

    body: bytes
    content_type: str = "application/json"
    accept: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What goes back: bytes, or an iterator of bytes for a streamed answer."""

    body: bytes | Iterator[bytes] | AsyncIterator[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Predictor(Protocol):
    """A loaded model."""

    def invoke(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer; raise RequestError for what is wrong with the request."""


def serve(factory: str) -> None:
    """Serve what `factory` ("module:function", returning a Predictor) loads, until SIGTERM.

    The port is SAGEMAKER_BIND_TO_PORT; SAGEMAKER_MODEL_SERVER_WORKERS (default 1) is the number of processes.
    """
    import uvicorn

    os.environ["LOCALMAKER_PREDICTOR"] = factory
    workers = int(os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "1"))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    uvicorn.run(
        "containers.toolkit.serving:application",
        factory=True,
        host=os.environ.get("LOCALMAKER_BIND_TO_HOST", "0.0.0.0"),  # noqa: S104 - a container answers on all its addresses
        port=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", str(DEFAULT_PORT))),
        workers=workers if workers > 1 else None,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        server_header=False,
        date_header=False,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_S,
    )


def application() -> Front:
    """Load the model and return the ASGI application; called in each worker process."""
    module, _, name = os.environ["LOCALMAKER_PREDICTOR"].partition(":")
    predictor = getattr(importlib.import_module(module), name)(opt_ml().model)
    _log.info("model loaded from %s", opt_ml().model)
    return Front(predictor)


class Front:
    """The ASGI application around one predictor."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "").lower()
        limit_mb = os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB")
        self._limit_bytes = int(float(limit_mb or 0) * 2**20) or None  # 0: batch transform streams whole objects

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        """Route one request."""
        path, method = scope["path"], scope["method"]
        if path == "/invocations" and method == "POST":
            reply = await self._answer(scope["headers"], receive)
        elif path == "/ping" and method in ("GET", "HEAD"):
            reply = Reply(b"")
        elif path == "/execution-parameters" and method == "GET":
            reply = self._parameters()
        elif path in ("/invocations", "/ping", "/execution-parameters"):
            reply = _sentence(405, f"{method} is not allowed on {path}")
        else:
            reply = _sentence(404, f"nothing at {path}")
        await _send(reply, send)

    def _parameters(self) -> Reply:
        """Answer what batch transform asks; 404 where the image has no such route, as the real ones."""
        own = getattr(self._predictor, "execution_parameters", None)
        parameters = own() if own is not None else None
        return (
            _sentence(404, "nothing at /execution-parameters")
            if parameters is None
            else Reply(json.dumps(parameters).encode())
        )

    async def _answer(self, raw_headers: list[tuple[bytes, bytes]], receive: Callable[[], Awaitable[Any]]) -> Reply:
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body"):
            parts = [body]
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
            body = b"".join(parts)
        if self._limit_bytes is not None and len(body) > self._limit_bytes:
            return _sentence(413, f"the body of {len(body)} bytes exceeds SAGEMAKER_MAX_PAYLOAD_IN_MB")
        try:
            reply = self._predictor.invoke(self._request(raw_headers, body))
            return reply if isinstance(reply, Reply) else await reply
        except RequestError as error:
            return _sentence(error.status, str(error))
        except Exception as error:  # noqa: BLE001 - a user's model may raise anything; the caller is told
            _log.exception("the prediction failed")
            return _sentence(500, f"{type(error).__name__}: {error}")

    def _request(self, raw_headers: list[tuple[bytes, bytes]], body: bytes) -> Request:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw_headers}
        content_type, parameters = media_type(headers.get("content-type", ""))
        # The first choice counts: real containers do not weigh q values either.
        accept, _ = media_type(headers.get("accept", "").partition(",")[0])
        if accept in ("", "*/*"):
            accept = self._default_accept
        return Request(body, content_type, accept, parameters, headers)


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """Split `text/csv; label_size=0` into the lower-case type and its parameters."""
    if ";" not in header:
        return header.strip().lower(), {}
    kind, *rest = header.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _sentence(status: int, text: str) -> Reply:
    return Reply(text.encode(), "text/plain", status)


async def _send(reply: Reply, send: Any) -> None:
    headers = [(b"content-type", reply.content_type.encode("latin-1"))]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if isinstance(reply.body, bytes):
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    async for part in _parts(reply.body):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _parts(body: Any) -> AsyncIterator[bytes]:
    """Yield the pieces; a plain iterator is advanced in a thread, since a model computes between two of them.

    An error in the middle travels on: the server then breaks the connection, which the caller sees as a broken stream.
    """
    if inspect.isasyncgen(body) or hasattr(body, "__aiter__"):
        async for part in body:
            yield _as_bytes(part)
        return
    end = object()
    iterator = iter(body)
    while (part := await asyncio.to_thread(next, iterator, end)) is not end:
        yield _as_bytes(part)


def _as_bytes(part: Any) -> bytes:
    return part.encode() if isinstance(part, str) else bytes(part)
