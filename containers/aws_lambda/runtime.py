"""The Runtime API that a function's runtime polls, and the runtime's process.

Source: Lambda developer guide, "Using the Lambda runtime API" (2018-06-01): `next`, `response`, `error`, `init/error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "/2018-06-01/runtime/"
TASK_ROOT = "/var/task"
MOST_CHUNKS = 64
TAIL_BYTES = 4096
"""How much of its log an invocation is answered with, where it asks for it (API reference, Invoke, LogType)."""
LONGEST = 6 << 20
LAST_LINES_S = 0.5
"""How long what a process has printed is waited for once it has ended."""
INIT_S = 10.0
"""How long an initialization may take before it counts as part of the first invocation (guide, "Init phase")."""


@dataclass
class Invocation:
    """One event on its way through the runtime. `deadline`: epoch seconds."""

    id: str
    event: bytes
    deadline: float
    headers: dict[str, str]
    answered: threading.Event = field(default_factory=threading.Event)
    body: bytes = b""
    error: str = ""

    def answer(self, body: bytes, error: str = "") -> None:
        """Answer it, once."""
        if not self.answered.is_set():
            self.body, self.error = body, error
            self.answered.set()

    def fail(self, kind: str, message: str) -> None:
        """Answer with an error of the environment's own."""
        self.answer(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


class Runtime:
    """One function's runtime: a process, started again by the next event when it has ended, and the API that it polls."""

    def __init__(self) -> None:
        self._next: queue.Queue[Invocation | None] = queue.Queue()
        self.current: Invocation | None = None
        self.is_initialized = threading.Event()
        self._is_known = threading.Event()
        self.init_error = b""
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._writing = threading.Lock()
        self._at_line = True
        self._process: subprocess.Popen[bytes] | None = None
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        self.started = time.monotonic()
        self._start()

    # -- the process

    def _start(self) -> None:
        """Start a process; what an earlier one may still be asked for is not for it."""
        self._next.put(None)  # whoever waits there is of a process that has ended
        self._next = queue.Queue()
        self.init_error = b""
        self.is_initialized.clear()
        self._is_known.clear()
        host, port = self._api.server_address[:2]
        environment = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"{host!s}:{port}",
            "LAMBDA_TASK_ROOT": TASK_ROOT,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
        }
        paths = [TASK_ROOT, "/opt/python", "/opt/python/lib/python3.11/site-packages", os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", os.environ["_HANDLER"]],
            cwd=TASK_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._follow, args=(self._process,), daemon=True).start()

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Pass the process's lines on. The next event starts another one when it has ended: nothing is started in vain."""
        reading = threading.Thread(target=self._read, args=(process,), daemon=True)
        reading.start()
        code = process.wait()
        reading.join(LAST_LINES_S)  # what it has started may hold its output open for longer
        if process is not self._process:
            return
        self._process = None
        if not self.is_initialized.is_set() and not self.init_error:
            self.init_error = _error("Runtime.ExitError", f"Runtime exited with error: {_exit(code)}")
        self._is_known.set()
        if (invocation := self.current) is not None:
            invocation.fail(
                "Runtime.ExitError", f"RequestId: {invocation.id} Error: Runtime exited with error: {_exit(code)}"
            )

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        is_open = True
        while is_open:
            select.select([process.stdout], [], [])
            is_open = self._pass_on(process)

    def _pass_on(self, process: subprocess.Popen[bytes]) -> bool:
        """Pass on what the process has written by now; return whether there may be more."""
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        with self._writing:
            for _ in range(MOST_CHUNKS):
                if not select.select([descriptor], [], [], 0)[0]:
                    break
                chunk = os.read(descriptor, 1 << 16)
                if not chunk:
                    return False
                self._put(chunk)
        return True

    def _kill(self) -> None:
        """Kill the process with all that it has started."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def has_begun(self) -> bool:
        """Return whether the first initialization has come to an end, whichever."""
        return self._is_known.is_set()

    def memory_mb(self) -> int:
        """Return the most memory that the process has had."""
        with contextlib.suppress(OSError, StopIteration, AttributeError):
            status = open(f"/proc/{self._process.pid}/status", encoding="ascii").read()  # type: ignore[union-attr] # noqa: SIM115, PTH123
            line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) // 1024
        return 0

    # -- its log

    def log(self, line: bytes) -> None:
        """Write a line of the environment's own."""
        with self._writing:
            begun = b"" if self._at_line else b"\n"
            self._put(begun + line + b"\n")

    def catch_up(self) -> None:
        """Pass on what the function has written before it answered."""
        if (process := self._process) is not None:
            self._pass_on(process)

    def _put(self, chunk: bytes) -> None:
        """Write bytes, and keep them for who asks for the end of the log."""
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        self._at_line = chunk.endswith(b"\n")
        self._tail.append(chunk)
        self._tail_bytes += len(chunk)
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
            self._tail_bytes -= len(self._tail.popleft())

    def tail(self) -> bytes:
        """Return the end of the log since the last call."""
        text = b"".join(self._tail)[-TAIL_BYTES:]
        self._tail.clear()
        self._tail_bytes = 0
        return text

    # -- what the API answers

    def take(self) -> Invocation | None:
        """Wait for the next event: the runtime is initialized. None for a process that has ended."""
        waiting = self._next
        self.is_initialized.set()
        self._is_known.set()
        invocation = waiting.get()
        if invocation is not None:
            self.current = invocation
        return invocation

    def fail_to_begin(self, body: bytes) -> None:
        """Note why the runtime cannot begin."""
        self.init_error = body
        self._is_known.set()

    def invoke(self, invocation: Invocation, *, is_first: bool) -> None:
        """Pass an event to the runtime and wait until it is answered, or its time is over.

        A runtime that could not begin, or has ended, is started again first, but for the first event: that is told why.
        """
        if (self._process is None and not self.init_error) or (self.init_error and not is_first):
            self._kill()
            self._start()
        self._is_known.wait(max(0.0, invocation.deadline - time.time()))
        if self.init_error:
            invocation.answer(self.init_error, "Unhandled")
            self._kill()
        else:
            self._next.put(invocation)
        if not invocation.answered.wait(max(0.0, invocation.deadline - time.time())):
            seconds = float(os.environ.get("LOCALMAKER_LAMBDA_TIMEOUT", "3"))
            invocation.fail(
                "Sandbox.Timedout", f"RequestId: {invocation.id} Error: Task timed out after {seconds:.2f} seconds"
            )
            self._kill()
        self.current = None


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with contextlib.suppress(ValueError):
        return f"signal: {signal.Signals(-code).name}"
    return f"signal: {-code}"  # a real-time one has no name


def _handler_of(runtime: Runtime) -> type[BaseHTTPRequestHandler]:
    """Return what answers the Runtime API for a runtime."""

    class Handler(_Handler):
        of = runtime

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, 1 << 16  # an answer in one packet: in two it waits for an acknowledgement
    of: Runtime

    def log_message(self, *_: Any) -> None:
        """Log nothing: the log is the function's."""

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}invocation/next":
            self._reply(404)
            return
        taken = self.of.take()
        if taken is None:
            self._reply(410)
            return
        self._reply(200, taken.event, {
            "Lambda-Runtime-Aws-Request-Id": taken.id,
            "Lambda-Runtime-Deadline-Ms": str(int(taken.deadline * 1000)),
            "Content-Type": "application/json",
            **taken.headers,
        })  # fmt: skip

    def do_POST(self) -> None:
        body = self._body()
        if self.path == f"{PREFIX}init/error":
            self.of.fail_to_begin(body)
            self._reply(202, b"{}")
            return
        about, _, what = self.path.removeprefix(f"{PREFIX}invocation/").partition("/")
        current = self.of.current
        if current is None or about != current.id or what not in {"response", "error"}:
            self._reply(403, _error("InvalidRequestID", "unknown request"))
            return
        if what == "error":
            current.answer(body, "Unhandled")
        elif len(body) > LONGEST:
            text = f"Response payload size exceeded maximum allowed payload size ({LONGEST} bytes)."
            current.fail("Function.ResponseSizeTooLarge", text)
        else:
            current.answer(body)
        self._reply(202, b"{}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
