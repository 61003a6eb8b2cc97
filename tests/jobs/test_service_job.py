"""A service with a kind of the test's own: Python's HTTP server as a notebook instance, on the process runner."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import func, select, update

from backends.core.kernel import Kernel
from backends.core.lifecycle import transition
from backends.core.listening import PORT
from backends.core.settings import Settings
from backends.core.tables import issued_keys, jobs, log_events
from backends.jobs import credentials, places, queue, recipes
from backends.jobs.places import Wanted
from backends.jobs.reach import reached
from backends.jobs.runners.base import StartError
from backends.jobs.service import HealthCheck, RestartPolicy
from backends.jobs.service_job import ServiceJob, drives_service
from tests.toy import component

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from backends.core.context import Context

ACCOUNT, REGION = "111122223333", "us-east-1"
NOTEBOOK = component.NOTEBOOK
SERVER = """
import http.server, os, uuid
me = uuid.uuid4().hex.encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        body = me
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("serving", flush=True)
address = os.environ.get("LOCALMAKER_BIND_TO_HOST", ""), int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


@drives_service("notebook")
class Notebook(ServiceJob):
    """The toy's noun with a server of the test's: a row's `hidden` may have `code`, `idle_s` and `path`."""

    resource = NOTEBOOK
    restart = RestartPolicy(pause_s=0.1, most=2)
    grace_s = 5.0
    startup_s = 10.0

    @property
    def hidden(self) -> dict[str, Any]:
        """Return what the test wants of it."""
        return self.row.hidden if self.row is not None else {}

    @property
    def idle_s(self) -> float | None:
        """Return how long nobody must have used it."""
        return self.hidden.get("idle_s")

    @property
    def health(self) -> HealthCheck:
        """Return what answers where."""
        return HealthCheck(8888, self.hidden.get("path", "/health"), startup_s=self.startup_s)

    @property
    def wanted(self) -> Wanted:
        """Return the code, in this very Python (`this_python`)."""
        return Wanted("localmaker/base_python", "", command=("python", "-u", "-c", self.hidden.get("code", SERVER)))


def module() -> ModuleType:
    made = ModuleType("toy")
    Notebook.__module__ = made.__name__
    made.Notebook = Notebook  # type: ignore[attr-defined]
    return made


class Toy:
    """A kernel with the toy, and what a test does with it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.cx = kernel, kernel.context(ACCOUNT, REGION)

    async def create(self, name: str, **hidden: Any) -> str:
        """Create a notebook; return its ARN."""

        def work(cx: Context) -> str:
            role = f"arn:aws:iam::{ACCOUNT}:role/r"
            members = {"NotebookInstanceName": name, "InstanceType": "ml.t3.medium", "RoleArn": role}
            return NOTEBOOK.insert(cx, name, members, status="Pending", hidden=hidden).arn

        return await self.cx.transact(work)

    async def change(self, name: str, status: str) -> None:
        """Let a status ask for something."""
        await self.cx.transact(lambda cx: transition(cx, NOTEBOOK, NOTEBOOK.get(cx, name), status))
        self.kernel.changed.notify(NOTEBOOK.arn_of(self.cx, name))

    async def until(self, name: str, status: str | None) -> str:
        """Wait for a status, or for the end; return the reason of a failure."""
        async with asyncio.timeout(20):
            while True:
                row = await self.cx.read(lambda cx: NOTEBOOK.find(cx, name))
                if (row.status if row is not None else None) == status:
                    return row.document.get("FailureReason", "") if row is not None else ""
                await asyncio.sleep(0.02)

    async def get(self, arn: str, path: str = "/") -> str:
        """Send a request to a service as a proxy does."""
        async with reached(self.kernel, arn, 20) as (host, port):
            return await asyncio.to_thread(_get, host, port, path)

    def services(self) -> list[Any]:
        """Return what the runner has."""
        return places.runner(self.kernel, "process").adopt()

    def lines(self) -> int:
        """Count the starts that the log has."""
        query = select(func.count()).where(log_events.c.message == "serving")
        return int(self.kernel.db.read_blocking(lambda tx: tx.connection.execute(query)).scalar_one())

    def count(self, table: Any) -> int:
        """Count the rows of a table."""
        query = select(func.count()).select_from(table)
        return int(self.kernel.db.read_blocking(lambda tx: tx.connection.execute(query)).scalar_one())


def _get(host: str, port: int, path: str) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


@pytest.fixture
def run_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Yield `run_toy(test)`: run `await test(toy)` on a kernel of one data directory, then stop the kernel."""

    def run(test: Callable[[Toy], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            kernel = Kernel(Settings.read({}, data_dir=tmp_path / "data", runner="process"), [queue, module()])
            PORT.set(kernel, 1)
            credentials.FILES.set(kernel, lambda _: None)
            kernel.open()
            await kernel.start()
            await kernel.listening()
            try:
                return await test(Toy(kernel))
            finally:
                runners.append(places.runner(kernel, "process"))
                await kernel.stop()

        return asyncio.run(main())

    monkeypatch.setattr(recipes, "virtual_environment", lambda *_, **__: Path(sys.executable))
    runners: list[Any] = []
    yield run
    for child in [child for runner in runners for child in runner._children.values()]:
        child.wait(10)  # a supervisor is the child of the server that started it


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for happens in other threads, which set no event
            await asyncio.sleep(0.02)


def test_a_service_is_adopted_restarted_after_a_crash_and_leaves_nothing(
    run_toy: Callable[..., Any], tmp_path: Path
) -> None:
    async def first(toy: Toy) -> tuple[str, str]:
        arn = await toy.create("n")
        await toy.until("n", "InService")
        return arn, await toy.get(arn)

    arn, process = run_toy(first)

    async def second(toy: Toy) -> None:
        assert await toy.get(arn) == process
        assert await toy.get(arn, "/crash") == ""
        await eventually(lambda: toy.lines() == 2)
        again = await toy.get(arn)
        assert again not in {"", process}
        assert toy.count(issued_keys) == 1
        await toy.change("n", "Stopping")
        await toy.until("n", "Stopped")
        assert (toy.services(), toy.count(issued_keys), toy.count(jobs)) == ([], 0, 1)
        assert list((tmp_path / "data" / "jobs").glob("*/*")) == []
        await toy.change("n", "Pending")
        await toy.until("n", "InService")
        await toy.change("n", "Deleting")
        await toy.until("n", None)
        assert (toy.services(), toy.count(issued_keys), toy.count(jobs)) == ([], 0, 0)
        assert list((tmp_path / "data" / "jobs").iterdir()) == []

    run_toy(second)


def test_a_service_that_nobody_uses_is_stopped_and_started_at_the_next_request(run_toy: Callable[..., Any]) -> None:
    async def first(toy: Toy) -> tuple[str, str]:
        arn = await toy.create("n", idle_s=0.3)
        await toy.until("n", "InService")
        process = await toy.get(arn)
        async with reached(toy.kernel, arn):  # a stream that is open is a use
            await asyncio.sleep(1.5)
            assert await toy.get(arn) == process
        await eventually(lambda: toy.services() == [] and toy.count(issued_keys) == 0)
        again = await asyncio.gather(toy.get(arn), toy.get(arn))
        assert again[0] == again[1] != process
        await eventually(lambda: toy.services() == [])
        await toy.until("n", "InService")
        return arn, again[0]

    arn, process = run_toy(first)

    async def second(toy: Toy) -> None:
        await asyncio.sleep(0.3)
        assert toy.services() == []
        assert await toy.get(arn) not in {"", process}
        async with reached(toy.kernel, arn):
            await toy.change("n", "Deleting")
            await toy.until("n", None)
        assert toy.services() == []

    run_toy(second)


@pytest.mark.parametrize("code", ["raise SystemExit(7)", f"{SERVER.replace('send_response(200)', 'send_error(500)')}"])
def test_a_service_that_never_is_healthy_has_failed(
    run_toy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(Notebook, "startup_s", 1.0)

    async def test(toy: Toy) -> None:
        arn = await toy.create("n", code=code)
        reason = await toy.until("n", "Failed")
        assert reason in {
            "The service has ended with exit code 7.",
            "The service was not healthy within 1 seconds.",
        }
        await eventually(lambda: toy.services() == [])
        with pytest.raises(StartError, match="Failed"):
            await toy.get(arn)

    run_toy(test)


def test_a_service_that_ends_again_and_again_has_failed(run_toy: Callable[..., Any]) -> None:
    dies = SERVER.replace('print("serving"', 'threading.Timer(0.3, os._exit, (4,)).start()\nprint("serving"')

    async def test(toy: Toy) -> None:
        await toy.create("n", code=f"import threading\n{dies}", path="")
        await toy.until("n", "InService")
        assert await toy.until("n", "Failed") == "The service has ended with exit code 4."
        await eventually(lambda: toy.services() == [])
        assert toy.lines() == 3  # it was restarted twice

    run_toy(test)


def test_a_service_that_a_killed_server_was_starting_is_found(run_toy: Callable[..., Any]) -> None:
    async def first(toy: Toy) -> tuple[str, str]:
        arn = await toy.create("n")
        await toy.until("n", "InService")
        process = await toy.get(arn)

        def forget(cx: Context) -> None:  # as it was before the start was written down
            row = cx.db.execute(select(jobs)).one()
            state = orjson.loads(row.state)
            state["service"].update(runner="", healthy=False)
            cx.db.execute(update(jobs).values(state=orjson.dumps(state)))

        await toy.cx.transact(forget)
        return arn, process

    arn, process = run_toy(first)

    async def second(toy: Toy) -> None:
        assert await toy.get(arn) == process
        await toy.change("n", "Stopping")
        await toy.until("n", "Stopped")
        assert toy.services() == []

    run_toy(second)


def test_a_port_behind_a_relay_is_open_once_the_service_listens() -> None:
    health = HealthCheck(1, timeout_s=1.0)
    with socket.create_server(("127.0.0.1", 0)) as relay:
        address = relay.getsockname()

        def hang_up() -> None:
            relay.accept()[0].close()

        hangs_up = threading.Thread(target=hang_up)
        hangs_up.start()
        assert not health.passes(address)
        hangs_up.join()
        assert health.passes(address)
    assert not health.passes(address)


def test_restarts_wait_longer_and_longer_and_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "time", lambda: now)
    policy = RestartPolicy(pause_s=1, longest_pause_s=5, most=5, reset_s=60)
    record: dict[str, Any] = {}
    pauses = []
    for _ in range(5):
        assert not policy.is_exhausted(record)
        pauses.append(policy.wait_s(record))
        now += pauses[-1]
        policy.count(record)
    assert pauses == [0, 1, 2, 4, 5]
    assert policy.is_exhausted(record)
    now += 70
    assert (policy.is_exhausted(record), policy.wait_s(record)) == (False, 0)
