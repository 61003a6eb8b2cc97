"""All other services, answered by moto's in-process backends. Their state lives in memory and ends with the server.

Moto is imported on first use and runs on one thread of its own: its backends are not made for several.
"""

from __future__ import annotations

import io
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.serialize import create_serializer

from api_specs import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.kernel import Kernel

Answer = tuple[int, list[tuple[str, str]], bytes]
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "server", "date"})


@dataclass(frozen=True, slots=True)
class MotoRequest:
    """One HTTP request for moto; `account` is what identify found, whatever the access key looks like."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    account: str


def submit(kernel: Kernel, request: MotoRequest) -> Future[Answer]:
    """Hand a request to moto's thread."""
    pool = kernel.state.get("moto")
    if pool is None:
        pool = kernel.state["moto"] = ThreadPoolExecutor(1, thread_name_prefix="moto")
    answer: Future[Answer] = pool.submit(_answer, kernel.state, request)
    return answer


def start(kernel: Kernel) -> None:
    """Let other rooms, which may not import this one, call what moto answers: `kernel.state["call moto"]`."""
    kernel.state["call moto"] = partial(call, kernel)


def call(kernel: Kernel, service: str, name: str, account: str, region: str, given: dict[str, Any]) -> Future[Answer]:
    """Call an operation in an account and a region, its request made as a client's would be."""
    operation = model.load_service(service).operation_model(name)
    serializer = create_serializer(operation.service_model.resolved_protocol, include_validation=False)
    made = serializer.serialize_to_request(given, operation)
    body = made["body"]
    if isinstance(body, dict):  # of the query protocol
        body = urlencode(body)
    scope = f"{account}/{time.strftime('%Y%m%d', time.gmtime())}/{region}/{operation.service_model.signing_name}"
    headers = {key.lower(): value for key, value in made["headers"].items()} | {
        "host": f"{operation.service_model.endpoint_prefix}.{region}.amazonaws.com",
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders=host, Signature=",
    }
    raw = body.encode() if isinstance(body, str) else body
    query = urlencode(made["query_string"])
    return submit(kernel, MotoRequest(made["method"], made["url_path"], query, headers, raw, account))


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget what moto holds, when it was used at all. Moto cannot forget one account: it is left alone then."""
    if account is None and "moto_app" in kernel.state:
        kernel.state["moto"].submit(_reset).result()


def stop(kernel: Kernel) -> None:
    """End moto's thread."""
    if "moto" in kernel.state:
        kernel.state["moto"].shutdown()


def _reset() -> None:
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()


def _answer(state: dict[str, Any], request: MotoRequest) -> Answer:
    app = state.get("moto_app")
    if app is None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        app = state["moto_app"] = DomainDispatcherApplication(create_backend_app)
    return _run(app, _environment(request))


def _environment(request: MotoRequest) -> dict[str, Any]:
    host = request.headers.get("host", "localhost")
    name, _, port = host.partition(":")
    environment: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
        "QUERY_STRING": request.query,
        "SERVER_NAME": name,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
        "HTTP_X_MOTO_ACCOUNT_ID": request.account,
    }
    for header, value in request.headers.items():
        if header == "content-type":
            environment["CONTENT_TYPE"] = value
        elif header not in {"content-length", "x-moto-account-id", "transfer-encoding"}:
            environment["HTTP_" + header.upper().replace("-", "_")] = value
    return environment


def _run(app: Callable[..., Any], environment: dict[str, Any]) -> Answer:
    from werkzeug.test import run_wsgi_app

    content, status, headers = run_wsgi_app(app, environment, buffered=True)
    body = b"".join(content)
    kept = [(name, value) for name, value in headers if name.lower() not in HOP_HEADERS | {"content-length"}]
    return int(status.split()[0]), kept, body
