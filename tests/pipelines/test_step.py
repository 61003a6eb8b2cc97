"""The pure step against simulated operations: whatever happens in whatever order, each step runs once, after what it needs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.core.commands import Call, Command, Emit, Happened, Move, Promise, State, WakeAt
from backends.pipelines import graph
from backends.pipelines.step import CONTINUE, begin, step
from tests.pipelines.pipelines import definition
from tests.pipelines.pipelines import step as declared

EXECUTION = {
    "StartDateTime": "2026-01-01T00:00:00.000Z", "PipelineName": "p", "PipelineArn": "arn:p", "PipelineExecutionId": "abcdefghijkl",
    "PipelineExecutionArn": "arn:p/execution/abcdefghijkl",
}  # fmt: skip


def plan(document: dict[str, Any], parallel: int | None = None) -> State:
    """Return the state of an execution before its first step."""
    return begin({
        "execution": EXECUTION, "parameters": {}, "experiment": {}, "steps": graph.in_order(graph.steps_of(document)),
        "parallel": parallel, "role": "arn:role", "nonce": "n",
    })  # fmt: skip


@dataclass
class World:
    """What the kernel and the operations do: the state is stored as JSON, and read again for each thing that happens."""

    state: State
    refusals: dict[str, list[str]] = field(default_factory=dict)
    made: list[tuple[str, str]] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    promised: list[Promise] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    status: str = "Executing"
    wake_at: float | None = None
    now: float = 0.0
    works_at_once: bool = True
    """Whether what is promised is done as soon as it is."""

    def happens(self, *happened: Happened) -> None:
        """Call the step as the kernel does."""
        ahead = list(happened)
        while ahead:
            event = ahead.pop(0)
            event = Happened(event.what, event.tag, event.arn, event.status, event.reason, event.code, event.answer, event.document, self.now)  # fmt: skip
            self.state, commands = step(json.loads(json.dumps(self.state)), event)
            for command in commands:
                ahead += self._do(command)
        if self.works_at_once and self.promised:
            self.continue_()

    def _do(self, command: Command) -> list[Happened]:
        match command:
            case Call(operation="CreateModelPackageGroup"):
                return [Happened("refused", command.tag, code="ValidationException", reason="it is there")]
            case Call() if command.operation.startswith("Create"):
                return self._create(command)
            case Call():
                self.stopped.append(str(next(iter(command.request.values()))))
                return [Happened("answered", command.tag)]
            case Promise():
                self.promised.append(command)
            case Move():
                self.status = command.status
            case WakeAt():
                self.wake_at = command.time
            case Emit():
                assert command.old != command.new
        return []

    def _create(self, command: Call) -> list[Happened]:
        name = command.tag.split(" ")[1]
        refusals = self.refusals.get(name, [])
        if refusals:
            return [Happened("refused", command.tag, code=refusals.pop(0), reason="no")]
        own = next((str(v) for k, v in command.request.items() if k.endswith("Name")), "")
        arn = f"arn:{own}"
        self.made.append((name, arn))
        if command.operation != "CreateModel":
            self.jobs[arn] = command.tag
        return [Happened("answered", command.tag, arn, answer={"Arn": arn}, document={"ModelName": own})]

    def end(self, arn: str, status: str, reason: str = "") -> None:
        """End a job."""
        self.happens(Happened("child", self.jobs.pop(arn), arn, status, reason, document={"FailureReason": reason}))

    def continue_(self) -> None:
        """Do the work that was promised."""
        for promise in [self.promised.pop(0) for _ in range(len(self.promised))]:
            assert promise.queue == CONTINUE
            self.happens(Happened("answered", promise.tag))

    def run(self) -> dict[str, str]:
        """Return the steps' statuses."""
        return {name: run["status"] for name, run in self.state["runs"].items() if run["status"]}


def job(name: str, **more: Any) -> dict[str, Any]:
    return declared(name, "Training", {"RoleArn": "r"}, **more)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Draw steps: which type, what they need (of those before), which fail."""
    count = draw(st.integers(1, 8))
    return {
        f"s{n}": {
            "type": draw(st.sampled_from(["Training", "Model"])),
            "needs": sorted(draw(st.sets(st.integers(0, n - 1), max_size=3))) if n else [],
            "fails": draw(st.booleans()) and draw(st.booleans()),
        }
        for n in range(count)
    }


@given(graphs(), st.integers(1, 4), st.data())
@settings(max_examples=150, deadline=None)
def test_any_graph_in_any_order(nodes: dict[str, dict[str, Any]], parallel: int, data: st.DataObject) -> None:
    listed = [
        declared(name, node["type"], {"X": [{"Get": f"Steps.s{n}.ModelName"} if nodes[f"s{n}"]["type"] == "Model" else n for n in node["needs"]]},
                 DependsOn=[f"s{n}" for n in node["needs"]])
        for name, node in nodes.items()
    ]  # fmt: skip
    order = data.draw(st.permutations(listed))
    world = World(plan(definition(*order), parallel), works_at_once=False)
    world.refusals = {
        name: ["ValidationException"] for name, node in nodes.items() if node["fails"] and node["type"] == "Model"
    }
    ended: set[str] = set()
    world.happens(Happened("begun"))
    while world.promised or world.jobs:
        assert len(world.jobs) <= parallel
        if world.promised and (not world.jobs or data.draw(st.booleans())):
            world.continue_()
        else:
            arn = data.draw(st.sampled_from(sorted(world.jobs)))
            name = world.jobs[arn].split(" ")[1]
            world.end(arn, "Failed" if nodes[name]["fails"] else "Completed", "AlgorithmError: no")
        for name, status in world.run().items():
            if status == "Succeeded" and name not in ended:
                ended.add(name)
                assert all(f"s{n}" in ended for n in nodes[name]["needs"])
    assert all(count == 1 for count in Counter(name for name, _ in world.made).values())
    statuses = world.run()
    if any(nodes[name]["fails"] for name in statuses):
        assert world.status == "Failed"
        assert {name for name, status in statuses.items() if status == "Failed"} == {
            n for n in statuses if nodes[n]["fails"]
        }
    else:
        assert world.status == "Succeeded"
        assert set(statuses) == set(nodes)
    assert all(status in {"Succeeded", "Failed"} for status in statuses.values())


POLICY = {"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 10, "BackoffRate": 3.0, "MaxAttempts": 2}  # fmt: skip


def test_a_failure_that_a_policy_names_is_tried_again_after_its_pauses() -> None:
    world = World(plan(definition(job("A", RetryPolicies=[POLICY]))))
    world.happens(Happened("begun"))
    for pause in (10, 30):
        world.end(next(iter(world.jobs)), "Failed", "CapacityError: none")
        assert world.wake_at == world.now + pause
        world.now += pause
        world.happens(Happened("time"))
    assert len({arn for _, arn in world.made}) == 3
    world.end(next(iter(world.jobs)), "Failed", "CapacityError: none")
    assert (world.status, world.run()) == ("Failed", {"A": "Failed"})


def test_a_failure_of_another_type_ends_it_at_once() -> None:
    world = World(plan(definition(job("A", RetryPolicies=[POLICY]))))
    world.happens(Happened("begun"))
    world.end(next(iter(world.jobs)), "Failed", "AlgorithmError: exit code 1")
    assert world.status == "Failed"


def test_a_policy_that_expires() -> None:
    policy = {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR"],
        "IntervalSeconds": 60,
        "BackoffRate": 1.0,
        "ExpireAfterMin": 2,
    }
    world = World(plan(definition(job("A", RetryPolicies=[policy]))))
    world.happens(Happened("begun"))
    attempts = 1
    while world.status == "Executing":
        world.end(next(iter(world.jobs)), "Failed", "CapacityError: none")
        world.now += 60
        world.happens(Happened("time"))
        attempts += world.status == "Executing"
    assert attempts == 3


@pytest.mark.parametrize(
    ("code", "tries"), [("ThrottlingException", 4), ("ResourceLimitExceeded", 1), ("ValidationException", 1)]
)
def test_what_the_service_tries_again_by_itself(code: str, tries: int) -> None:
    world = World(plan(definition(job("A"))), refusals={"A": [code] * 10})
    world.happens(Happened("begun"))
    while world.status == "Executing":
        assert world.wake_at is not None
        world.now, world.wake_at = world.wake_at, None
        world.happens(Happened("time"))
    assert 10 - len(world.refusals["A"]) == tries


def test_a_stop_stops_what_runs_and_begins_nothing_more() -> None:
    world = World(plan(definition(job("A"), job("B"), job("C", DependsOn=["A"]))))
    world.happens(Happened("begun"))
    first, second = list(world.jobs)
    world.happens(Happened("changed", status="Stopping"))
    assert len(world.stopped) == 2
    world.end(first, "Stopped")
    world.end(second, "Completed")  # it was quicker
    assert world.status == "Stopped"
    assert world.run() == {"A": "Stopped", "B": "Succeeded"}


def test_an_attempt_that_waits_is_stopped_without_another() -> None:
    world = World(plan(definition(job("A", RetryPolicies=[POLICY]))))
    world.happens(Happened("begun"))
    world.end(next(iter(world.jobs)), "Failed", "CapacityError: none")
    world.happens(Happened("changed", status="Stopping"))
    assert (world.status, world.run(), len(world.made)) == ("Stopped", {"A": "Stopped"}, 1)


def test_what_an_earlier_attempts_job_does_later_counts_no_more() -> None:
    world = World(plan(definition(job("A", RetryPolicies=[POLICY]))))
    world.happens(Happened("begun"))
    (arn, tag), *_ = world.jobs.items()
    world.end(arn, "Failed", "CapacityError: none")
    world.now = 10
    world.happens(Happened("time"))
    world.happens(Happened("child", tag, arn, "Deleted"))
    assert world.run() == {"A": "Executing"}


def test_a_retry_begins_what_failed_and_keeps_what_did_not() -> None:
    world = World(plan(definition(job("A"), job("B"), job("C", DependsOn=["B"]))))
    world.happens(Happened("begun"))
    first, second = list(world.jobs)
    world.end(first, "Completed")
    world.end(second, "Failed", "AlgorithmError: no")
    assert world.status == "Failed"
    world.happens(Happened("answered", "retry", answer={}))
    assert (world.status, world.run()) == ("Executing", {"A": "Succeeded", "B": "Executing"})
    world.end(next(iter(world.jobs)), "Completed")
    world.end(next(iter(world.jobs)), "Completed")
    assert world.status == "Succeeded"
    assert Counter(name for name, _ in world.made) == {"A": 1, "B": 2, "C": 1}
    assert len({arn for _, arn in world.made}) == 4
