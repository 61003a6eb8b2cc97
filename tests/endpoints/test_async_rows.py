"""What is done with accepted asynchronous invocations: whose turn it is, what is tried again, what is given up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

import backends
from backends.core.errors import AwsError
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from backends.core.tables import log_events, metric_points
from backends.endpoints import asynchronous, http, invoke, outcomes
from backends.endpoints.fleet import Container, Fleet, Instance, Variant, fleets
from backends.endpoints.tables import async_invocations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT, REGION = "111122223333", "us-east-1"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Yield a kernel without a server."""
    made = Kernel(Settings.read({}, data_dir=tmp_path / "data"), backends.load_components())
    made.open()
    yield made
    made.db.close()
    made.lease.release()


def accept(kernel: Kernel, name: str, count: int, ttl_s: float = 60.0) -> None:
    """Write rows of an endpoint."""
    cx = kernel.context(ACCOUNT, REGION)
    now = cx.clock.now()
    row = {"account": ACCOUNT, "region": REGION, "endpoint": name, "arn": name, "received": now, "expires": now + ttl_s}
    cx.write(lambda inside: inside.db.execute(insert(async_invocations), [{**row, "request": b"{}"}] * count))


def serve(kernel: Kernel, name: str) -> None:
    """Publish a fleet that takes two requests at once."""
    only = Variant("v", 1.0, (Instance("i", (Container("c", "127.0.0.1", 1),)),))
    fleet = Fleet(name, name, (only,), {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2}})
    fleets(kernel)[ACCOUNT, REGION, name] = fleet


def due(kernel: Kernel, *requested: tuple[str, dict[int, tuple[str, Any]]]) -> list[list[int]]:
    """Return the ids of the rows that are to be taken, for each endpoint and what is running."""

    async def main() -> list[list[int]]:
        kernel.db.bind(asyncio.get_running_loop())
        found = []
        for name, running in requested:
            endpoint = SimpleNamespace(account=ACCOUNT, region=REGION, endpoint=name, arn=name)
            found.append([row.id for row in await asynchronous._due(kernel, endpoint, running)])
        return found

    return asyncio.run(main())


def test_an_endpoint_takes_what_it_has_capacity_for_whatever_waits_for_others(kernel: Kernel) -> None:
    accept(kernel, "stuck", 1500)
    accept(kernel, "quick", 3)
    serve(kernel, "quick")
    found = due(kernel, ("stuck", {}), ("quick", {}), ("quick", {1501: ("quick", None)}))
    assert found == [[], [1501, 1502], [1502]]


def test_what_expired_is_taken_though_nobody_serves(kernel: Kernel) -> None:
    accept(kernel, "gone", 1)
    accept(kernel, "gone", 2, ttl_s=-1)
    assert due(kernel, ("gone", {})) == [[2, 3]]


def test_an_expired_request_without_a_place_is_counted_and_logged(kernel: Kernel) -> None:
    accept(kernel, "gone", 1, ttl_s=-1)
    cx = kernel.context(ACCOUNT, REGION)
    (row,) = cx.look(lambda inside: list(inside.db.execute(select(async_invocations))))
    kept: dict[str, Any] = {"failure": "s3://no-such-bucket/f", "headers": {}, "input": "s3://b/k", "id": "mine"}
    answer = asyncio.run(asynchronous._invoke(cx, row, kept))
    assert answer is not None
    outcome = cx.look(lambda inside: outcomes.placed(inside, row, kept, answer))
    assert (outcome.place, outcome.failure) == (None, "The request expired before it was processed.")
    cx.write(lambda inside: outcomes.settle(inside, row, kept, outcome, None))
    assert cx.look(lambda inside: list(inside.db.execute(select(async_invocations)))) == []
    (point,) = cx.look(lambda inside: list(inside.db.execute(select(metric_points))))
    assert (point.name, point.dimensions, point.value) == ("ExpiredRequests", '{"EndpointName":"gone"}', 1.0)
    (line,) = cx.look(lambda inside: list(inside.db.execute(select(log_events.c.message))))
    assert line[0].endswith(":[sagemaker logs] [mine] The request expired before it was processed.")


def test_a_step_is_tried_again_after_longer_and_longer_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    outcomes: list[Exception | None] = [*[OSError("full")] * 7, AwsError("ServiceUnavailable", "refused"), None]

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    async def step() -> str:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome
        return "done"

    monkeypatch.setattr(asyncio, "sleep", sleep)
    row = SimpleNamespace(id=1, arn="a")
    assert asyncio.run(asynchronous._patiently(row, step)) == "done"
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


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
