"""What the server asks: `GET /ping` until the runtime has begun, then `POST /invocations`, one at a time.

A request has the event as its body and headers of its own: `X-Request-Id`, `X-Client-Context`, `X-Log-Tail`. The answer's body
is the function's, `X-Function-Error` says that it is an error, `X-Log-Result` has the end of the log (base64).
"""

from __future__ import annotations

import base64
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from containers.aws_lambda.runtime import Invocation, Runtime

DEFAULT_PORT = 8080


class Front:
    """One function behind its port."""

    def __init__(self) -> None:
        self.runtime = Runtime()
        self._one = threading.Lock()
        self._is_first = True

    def invoke(self, request_id: str, event: bytes, headers: dict[str, str]) -> Invocation:
        """Let the function answer an event; its log says when it began and ended, as Lambda's does."""
        runtime, environment = self.runtime, os.environ
        with self._one:
            begun = time.monotonic()
            seconds = float(environment.get("LOCALMAKER_LAMBDA_TIMEOUT", "3"))
            invocation = Invocation(request_id, event, time.time() + seconds, headers)
            runtime.log(
                f"START RequestId: {request_id} Version: {environment.get('AWS_LAMBDA_FUNCTION_VERSION', '')}".encode()
            )
            runtime.invoke(invocation, is_first=self._is_first)
            runtime.catch_up()
            ms = (time.monotonic() - begun) * 1000
            runtime.log(f"END RequestId: {request_id}".encode())
            report = (
                f"REPORT RequestId: {request_id}\tDuration: {ms:.2f} ms\tBilled Duration: {int(ms) + 1} ms\t"
                f"Memory Size: {environment.get('AWS_LAMBDA_FUNCTION_MEMORY_SIZE', '128')} MB\tMax Memory Used: {runtime.memory_mb()} MB\t"
            )
            if self._is_first:
                report += f"Init Duration: {(begun - runtime.started) * 1000:.2f} ms\t"
            self._is_first = False
            runtime.log(report.encode())
            return invocation


def serve() -> None:
    """Serve one function until SIGTERM."""
    front = Front()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm, wbufsize = (
            True,
            1 << 16,
        )  # an answer in one packet: in two it waits for an acknowledgement

        def log_message(self, *_: Any) -> None:
            """Log nothing: the log is the function's."""

        def do_GET(self) -> None:
            self._reply(200 if front.runtime.has_begun() else 503, b"", {})

        def do_POST(self) -> None:
            event = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            arn = os.environ.get("LOCALMAKER_FUNCTION_ARN", "")
            headers = {"Lambda-Runtime-Invoked-Function-Arn": arn}
            if self.headers.get("X-Client-Context"):
                headers["Lambda-Runtime-Client-Context"] = self.headers["X-Client-Context"]
            done = front.invoke(self.headers.get("X-Request-Id", ""), event, headers)
            told = {"X-Function-Error": done.error} if done.error else {}
            tail = front.runtime.tail()
            if self.headers.get("X-Log-Tail"):
                told["X-Log-Result"] = base64.b64encode(tail).decode()
            self._reply(200, done.body, told)

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", str(DEFAULT_PORT)))
    host = os.environ.get("LOCALMAKER_BIND_TO_HOST", "0.0.0.0")  # noqa: S104 - a container answers on all its addresses
    ThreadingHTTPServer((host, port), Handler).serve_forever()
