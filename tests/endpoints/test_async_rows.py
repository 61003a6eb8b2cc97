"""What is done with accepted asynchronous invocations: whose turn it is, what is tried again, what is given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

import backends
from backends.core import work
from backends.core.errors import AwsError
from backends.core.kernel import Kernel
from backends.core.operation import marked
from backends.core.settings import Settings
from backends.core.tables import log_events, metric_points, work_items
from backends.endpoints import asynchronous, http, invoke, outcomes
from backends.endpoints.fleet import Container, Fleet, Instance, Variant, fleets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.work import Item

ACCOUNT, REGION = "111122223333", "us-east-1"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Yield a kernel without a server."""
    made = Kernel(Settings.read({}, data_dir=tmp_path / "data"), backends.load_components())
    made.open()
    yield made
    made.db.close()
    made.lease.release()


def accept(kernel: Kernel, name: str, count: int, ttl_s: float = 60.0, **body: Any) -> list[Item]:
    """Promise invocations of an endpoint; return the items of it."""
    cx = kernel.context(ACCOUNT, REGION)
    body = {"endpoint": name, "failure": None, "headers": {}, "input": "s3://b/k", **body}

    def promise(inside: Context) -> None:
        for _ in range(count):
            work.add(inside, asynchronous.QUEUE, name, body, expires=inside.clock.now() + ttl_s)

    cx.write(promise)
    rows = cx.look(lambda inside: inside.db.execute(select(work_items).where(work_items.c.key == name)).all())
    return [work._item(row) for row in rows]


def serve(kernel: Kernel, name: str) -> None:
    """Publish a fleet that takes two requests at once."""
    only = Variant("v", 1.0, (Instance("i", (Container("c", "127.0.0.1", 1),)),))
    fleet = Fleet(name, name, (only,), {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2}})
    fleets(kernel)[ACCOUNT, REGION, name] = fleet


def due(kernel: Kernel, name: str, *running: int) -> list[int]:
    """Return the ids of the items of an endpoint that are to be taken, while others run."""
    worker = work.Worker(kernel)
    task: Any = None
    worker._running = dict.fromkeys(running, (asynchronous.QUEUE, name, task))
    (queue,) = marked(asynchronous, "work_queues")
    return kernel.context(ACCOUNT, REGION).look(lambda cx: [item.id for item in worker._due(cx, queue, name)])


def test_an_endpoint_takes_what_it_has_capacity_for_whatever_waits_for_others(kernel: Kernel) -> None:
    accept(kernel, "stuck", 1500)
    accept(kernel, "quick", 3)
    serve(kernel, "quick")
    assert [due(kernel, "stuck"), due(kernel, "quick"), due(kernel, "quick", 1501)] == [[], [1501, 1502], [1502]]


def test_what_expired_is_taken_though_nobody_serves(kernel: Kernel) -> None:
    accept(kernel, "gone", 1)
    accept(kernel, "gone", 2, ttl_s=-1)
    assert due(kernel, "gone") == [2, 3]


def test_an_expired_request_without_a_place_is_counted_and_logged(kernel: Kernel) -> None:
    (item,) = accept(kernel, "gone", 1, ttl_s=-1, failure="s3://no-such-bucket/f", id="mine")
    cx = kernel.context(ACCOUNT, REGION)
    answer = asyncio.run(asynchronous._invoke(cx, item))
    outcome = cx.look(lambda inside: outcomes.placed(inside, item.body, answer))
    assert (outcome.place, outcome.failure) == (None, "The request expired before it was processed.")
    cx.write(lambda inside: outcomes.settle(inside, item, outcome, None))
    (point,) = cx.look(lambda inside: list(inside.db.execute(select(metric_points))))
    assert (point.name, point.dimensions, point.value) == ("ExpiredRequests", '{"EndpointName":"gone"}', 1.0)
    (line,) = cx.look(lambda inside: list(inside.db.execute(select(log_events.c.message))))
    assert line[0].endswith(":[sagemaker logs] [mine] The request expired before it was processed.")


def test_a_model_is_not_asked_again_when_its_answer_could_not_be_stored(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = accept(kernel, "full", 1)
    cx = kernel.context(ACCOUNT, REGION)
    cx.write(lambda inside: inside.call("CreateBucket", {"Bucket": "answers"}, "s3"))
    calls, failures = [], [OSError("full"), OSError("full")]
    store = cx.objects.store_bytes

    async def model(_cx: Context, item: Item) -> outcomes.Outcome:
        calls.append(item.id)
        return outcomes.Outcome("s3://answers/one", b"yes", "text/plain")

    def store_bytes(content: bytes) -> Any:
        if failures:
            raise failures.pop()
        return store(content)

    monkeypatch.setattr(asynchronous, "_invoke", model)
    monkeypatch.setattr(cx.objects, "store_bytes", store_bytes)

    async def main() -> None:
        kernel.db.bind(asyncio.get_running_loop())
        for _ in range(2):
            with pytest.raises(OSError, match="full"):
                await asynchronous.answer(cx, item)
        await cx.transact(await asynchronous.answer(cx, item))
        stored = await cx.read(lambda inside: inside.objects.head(inside, "answers", "one"))
        assert (calls, stored and stored.size) == ([item.id], 3)

    asyncio.run(main())


def test_a_request_that_kills_containers_is_given_up_and_a_refused_one_is_not() -> None:
    kept: dict[str, Any] = {}
    refused, died = http.NoAnswerError("refused"), http.NoAnswerError("hung up")
    refused.__cause__ = ConnectionRefusedError()
    errors = {}
    for name, cause in (("refused", refused), ("died", died)):
        errors[name] = invoke._unreachable(cause)
        errors[name].__cause__ = cause
    assert [asynchronous._is_lost(kept, errors["refused"]) for _ in range(9)] == [False] * 9
    assert [asynchronous._is_lost(kept, errors["died"]) for _ in range(3)] == [False, False, True]


def test_an_answer_without_a_length_or_with_large_headers_is_none() -> None:
    container, reply = Container("primary", "127.0.0.1", 1), http.Reply()
    reply.headers = {"transfer-encoding": "chunked"}
    with pytest.raises(AwsError, match="container primary did not specify the required Content-Length header"):
        asynchronous._check_answer(container, reply)
    reply.headers = {"content-length": "1"}
    asynchronous._check_answer(container, reply)
    reply.headers["x-much"] = "x" * 4096
    with pytest.raises(AwsError, match="headers with length greater than 4096 bytes"):
        asynchronous._check_answer(container, reply)
