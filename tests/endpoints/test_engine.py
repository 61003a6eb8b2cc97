"""The engine without a server: what becomes of an endpoint whose driver gave up, and who holds which GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

import backends
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from backends.core.tables import jobs
from backends.endpoints import engine
from backends.endpoints.deployment import Deployment, DeploymentError
from backends.endpoints.status import ENDPOINT
from backends.jobs import places, queue
from backends.jobs.admission import Admission, Allotment
from backends.jobs.dispatcher import Dispatcher
from backends.jobs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.core.context import Context

ACCOUNT, REGION = "111122223333", "us-east-1"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """Yield a kernel without a server, whose queue drives nothing."""
    made = Kernel(Settings.read({}, data_dir=tmp_path / "data"), backends.load_components())
    made.open()
    queue.start(made)
    yield made
    made.db.close()
    made.lease.release()


def endpoint(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, status: str) -> Run:
    """Write an endpoint and its row on the queue; give what would be driven."""
    monkeypatch.setattr(Dispatcher, "submit", lambda *_: None)

    def work(cx: Context) -> str:
        document: dict[str, Any] = {"EndpointName": "e", "EndpointConfigName": "c", "ProductionVariants": []}
        row = ENDPOINT.insert(cx, "e", document, status=status)
        return queue.add(cx, "endpoint", row.arn, {"name": "e"})

    job_id = kernel.context(ACCOUNT, REGION).write(work)
    query = select(jobs).where(jobs.c.id == job_id)
    return Run(kernel, kernel.db.read_blocking(lambda tx: tx.connection.execute(query).one()))


def instance(name: str, runner: str) -> dict[str, Any]:
    """Return the state of an instance of one container."""
    entry = {"job": f"{name}-1", "name": "primary", "host": "h", "runner": runner}
    return {"id": name, "variant": "v", "type": "ml.g5.xlarge", "startup_s": 1, "containers": [entry]}


@pytest.mark.parametrize(
    ("status", "settled", "reason"),
    [("Creating", "Failed", "boom"), ("Updating", "InService", "boom"), ("InService", "InService", None)],
)
def test_an_endpoint_whose_driver_gave_up_can_be_deleted(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, status: str, settled: str, reason: str | None
) -> None:
    run = endpoint(kernel, monkeypatch, status)
    engine.give_up(run, "boom")
    row = run.cx.look(lambda cx: ENDPOINT.get(cx, "e"))
    assert (row.status, row.document.get("FailureReason")) == (settled, reason)
    run.cx.write(lambda cx: cx.call("DeleteEndpoint", {"EndpointName": "e"}))
    engine.drive(run)
    assert run.cx.look(lambda cx: ENDPOINT.find(cx, "e")) is None


def test_what_a_killed_server_was_starting_is_found_and_awaited(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = endpoint(kernel, monkeypatch, "InService")
    known, new = instance("i-known", "process"), instance("i-new", "")
    made = Deployment(run, "current", {"id": "d", "instances": [known, new], "surplus": []})
    awaited: list[str] = []
    replaced: list[str] = []

    def unhealthy(_: Deployment, broken: dict[str, Any]) -> str:
        awaited.append(broken["id"])
        return "unhealthy"

    monkeypatch.setattr(places, "runner_of", lambda _, job: {"i-new-1": "process"}[job])
    monkeypatch.setattr(Deployment, "dead", lambda _: [])
    monkeypatch.setattr(Deployment, "_await_instance", unhealthy)
    monkeypatch.setattr(Deployment, "replace", lambda _, dead: replaced.extend(entry["id"] for entry in dead))
    made.find_started()
    made.revive()
    assert new["containers"][0]["runner"] == "process"
    assert (awaited, replaced) == (["i-new"], ["i-new"])


def test_each_instance_holds_its_own_gpus_through_a_restart(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    run = endpoint(kernel, monkeypatch, "InService")
    admission = Admission(4, (0, 1))
    queue.DISPATCHER.set(kernel, Dispatcher(kernel, {}, admission))
    state: dict[str, Any] = {"id": "d", "instances": [instance("i-1", ""), instance("i-2", "")], "surplus": []}
    made = Deployment(run, "current", state)
    for name in ("_start_container", "_stop"):
        monkeypatch.setattr(Deployment, name, lambda *_: None)
    monkeypatch.setattr(Deployment, "_await_instance", lambda *_: None)
    made.start()
    assert [entry["gpus"] for entry in state["instances"]] == [[0], [1]]
    with pytest.raises(DeploymentError, match="CapacityError"):
        made._start([instance("i-3", "")])
    admission = Admission(4, (0, 1))
    queue.DISPATCHER.set(kernel, Dispatcher(kernel, {}, admission))
    again = Deployment(run, "current", run.state["current"])
    admission.held.update(engine.held_gpus(run))
    assert admission.held == {f"{run.id}-i-{n}": Allotment(ACCOUNT, 0, (n - 1,)) for n in (1, 2)}
    assert admission.take_gpus("training", ACCOUNT, 1) is None
    again.replace(again.state["instances"][:1])
    assert again.state["instances"][0]["gpus"] == [0]
    again.stop()
    assert admission.take_gpus("training", ACCOUNT, 2) == (0, 1)
