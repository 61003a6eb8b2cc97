"""One HTTP request through moto's own application."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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


def make_app() -> Any:
    """Make moto's application; the import is what takes time."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


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
        if "_" in header:  # in an environment it would stand for the one with dashes: the account's, say
            continue
        if header == "content-type":
            environment["CONTENT_TYPE"] = value
        elif header not in {"content-length", "x-moto-account-id", "transfer-encoding"}:
            environment["HTTP_" + header.upper().replace("-", "_")] = value
    return environment


def run(app: Callable[..., Any], request: MotoRequest) -> Answer:
    """Let moto answer."""
    from werkzeug.test import run_wsgi_app

    content, status, headers = run_wsgi_app(app, _environment(request), buffered=True)
    body = b"".join(content)
    kept = [(name, value) for name, value in headers if name.lower() not in HOP_HEADERS | {"content-length"}]
    return int(status.split()[0]), kept, body
