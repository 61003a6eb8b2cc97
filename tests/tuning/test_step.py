"""The pure step and the samplers against simulated training jobs: whatever happens in whatever order, the counts hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.core.commands import Call, Change, Command, End, Happened, Move, Promise, State
from backends.core.errors import AwsError
from backends.tuning.engine import trials_of
from backends.tuning.progress import LEAST_CONVERGING
from backends.tuning.ranges import ranges_of, text_of, value_of
from backends.tuning.sampler import suggest
from backends.tuning.step import SUGGEST, begin, step
from backends.tuning.summaries import turn

if TYPE_CHECKING:
    from collections.abc import Callable

X = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}
NAME = "search"


def plan(**members: Any) -> State:
    """Return the state of a search over x before its first step."""
    definition = {
        "name": "", "metric": "loss", "type": "Minimize", "ranges": ranges_of(X), "static": {}, "request": {}, "resources": [{}],
    }  # fmt: skip
    return begin({
        "name": NAME, "arn": "arn:search", "nonce": "n", "seed": "1", "strategy": "Random", "parallel": 2, "limit": 4,
        "created": 0.0, "deadline": None, "target": None, "patience": None, "early": None, "tags": [], "definitions": [definition], **members,
    })  # fmt: skip


@dataclass
class World:
    """What the kernel and the training jobs do: it keeps what is stored, and loses the rest whenever it likes."""

    state: State
    parallel: int
    running: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    promised: list[dict[str, Any]] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    shown: dict[str, Any] = field(default_factory=dict)
    ended: str = ""

    def happens(self, *happened: Happened) -> None:
        """Call the step as the kernel does, from the stored state."""
        ahead = list(happened)
        while ahead and not self.ended:
            before = json.dumps(self.state)
            self.state, commands = step(json.loads(before), ahead.pop(0))
            self.state = json.loads(json.dumps(self.state))
            for command in commands:
                ahead += self.does(command)

    def does(self, command: Command) -> list[Happened]:
        """Do what a step commands."""
        match command:
            case Call("CreateTrainingJob", request, tag):
                self.made.append(name := request["TrainingJobName"])
                self.running[tag] = name
                assert len(self.running) <= self.parallel
                return [Happened("answered", tag, f"arn:{name}", answer={"TrainingJobArn": f"arn:{name}"})]
            case Call("StopTrainingJob", request, tag):
                assert request["TrainingJobName"] in self.running.values()
                self.stopped.add(request["TrainingJobName"])
                return [Happened("answered", tag)]
            case Promise(_, body, _):
                self.promised.append(body)
            case Change(changes):
                self.shown |= changes
            case Move(status, _, changes):
                self.shown |= changes
                self.ended = status
            case End():
                assert self.ended
        return []

    def answers(self) -> None:
        """Answer what was asked first."""
        body = self.promised.pop(0)
        self.happens(Happened("answered", SUGGEST, answer={"trials": trials_of(body)}))

    def child_ends(self, tag: str, status: str, value: float | None) -> None:
        """Let a training job end."""
        name = self.running.pop(tag)
        metrics = [{"MetricName": "loss", "Value": value}] if value is not None else []
        document = {"TrainingJobName": name, "TrainingJobStatus": status, "FinalMetricDataList": metrics}
        self.happens(Happened("child", tag, f"arn:{name}", status, "", document=document))


def run(world: World, choose: Callable[[list[str]], str], outcome: Callable[[], tuple[str, float | None]]) -> None:
    """Let things happen, one after the other, until the search has ended."""
    world.happens(Happened("begun"))
    while not world.ended:
        possible = [*world.running, *(["answer"] if world.promised else [])]
        assert possible, "it waits for nothing"
        chosen = choose(possible)
        if chosen == "answer":
            world.answers()
        else:
            status, value = outcome()
            world.child_ends(chosen, "Stopped" if world.running[chosen] in world.stopped else status, value)


OUTCOMES = st.sampled_from(
    [("Completed", 0.5), ("Completed", 0.1), ("Completed", None), ("Failed", None), ("Stopped", 0.7)]
)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    strategy=st.sampled_from(["Random", "Bayesian"]),
    parallel=st.integers(1, 4),
    limit=st.integers(1, 9),
)
def test_a_search_makes_exactly_its_training_jobs(
    data: st.DataObject, strategy: str, parallel: int, limit: int
) -> None:
    world = World(plan(strategy=strategy, parallel=parallel, limit=limit), parallel)
    happened: list[tuple[str, float | None]] = []

    def outcome() -> tuple[str, float | None]:
        happened.append(data.draw(OUTCOMES))
        return happened[-1]

    run(world, lambda possible: data.draw(st.sampled_from(possible)), outcome)
    values = [value for _, value in happened if value is not None]
    statuses = Counter(status for status, _ in happened)
    assert len(set(world.made)) == len(world.made) == len(happened)
    assert len(world.made) == limit or (not values and world.ended == "Failed")
    counters = world.shown["TrainingJobStatusCounters"]
    assert sum(counters.values()) == len(happened)
    assert (world.ended == "Completed") == bool(values)
    if not world.stopped:
        assert counters["Completed"] == statuses["Completed"]
        assert counters["NonRetryableError"] == statuses["Failed"]
    if values:
        best = world.shown["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        assert best == min(values)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), parallel=st.integers(1, 3), after=st.integers(0, 6))
def test_a_stop_at_any_time_ends_when_the_running_jobs_have(data: st.DataObject, parallel: int, after: int) -> None:
    world = World(plan(parallel=parallel, limit=20), parallel)
    world.happens(Happened("begun"))
    for _ in range(after):
        possible = [*world.running, *(["answer"] if world.promised else [])]
        chosen = data.draw(st.sampled_from(possible))
        if chosen == "answer":
            world.answers()
        else:
            world.child_ends(chosen, "Completed", 0.5)
    made, running = len(world.made), len(world.running)
    world.happens(Happened("changed", status="Stopping"))
    assert len(world.stopped) == running
    while world.running:
        assert not world.ended
        world.child_ends(next(iter(world.running)), "Stopped", None)
    assert (world.ended, len(world.made)) == ("Stopped", made)


def test_where_there_is_no_capacity_the_next_instance_is_tried() -> None:
    state = plan(parallel=1, limit=1)
    state["definitions"][0]["resources"] = [{"InstanceType": "a"}, {"InstanceType": "b"}]
    world = World(state, 1)
    world.happens(Happened("begun"))
    world.answers()
    (tag,) = world.running
    first = world.running.pop(tag)
    world.happens(Happened("child", tag, "", "Failed", "CapacityError: none", document={"TrainingJobName": first}))
    assert len(set(world.made)) == 2
    world.child_ends(tag, "Completed", 0.5)
    assert world.ended == "Completed"
    assert world.shown["TrainingJobStatusCounters"] == {
        "Completed": 1, "InProgress": 0, "RetryableError": 1, "NonRetryableError": 0, "Stopped": 0
    }  # fmt: skip


def test_several_definitions_take_turns() -> None:
    (one,) = plan()["definitions"]
    state = plan(parallel=2, limit=5, definitions=[{**one, "name": "a"}, {**one, "name": "b"}])
    world = World(state, 2)
    run(world, lambda possible: possible[0], lambda: ("Completed", 0.5))
    assert len(world.made) == 5
    assert world.shown["BestTrainingJob"]["TrainingJobDefinitionName"] == "a"
    assert world.shown["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Type"] == "Minimize"


def test_each_definition_is_watched_among_its_own() -> None:
    (one,) = plan()["definitions"]
    both = [{**one, "name": "a", "metric": "loss"}, {**one, "name": "b", "metric": "other", "rungs": {"most": 3}}]
    world = World(plan(parallel=4, limit=6, definitions=both, early={"rule": "Median"}), 4)
    world.happens(Happened("begun"))
    world.answers()
    for tag in ("1", "2"):
        world.child_ends(tag, "Completed", 0.5)
    world.promised.clear()
    world.happens(Happened("time", at=1.0))
    first, second = world.promised.pop(0)["questions"]
    assert [[each[0] for each in question["running"]] for question in (first, second)] == [[3, 5], [4, 6]]
    assert [[each[0] for each in question["ended"]] for question in (first, second)] == [[1], []]
    assert (first["metric"], second["metric"], second["most"]) == ("loss", "other", 3)


def test_a_job_that_never_improves_ends_by_its_criterion() -> None:
    world = World(plan(parallel=1, limit=20, patience=3), 1)
    values = iter([0.1, 0.2, 0.3, 0.4, 0.5])
    run(world, lambda possible: possible[0], lambda: ("Completed", next(values)))
    assert (world.ended, len(world.made)) == ("Completed", 4)
    assert world.shown["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


def test_an_improvement_of_a_hundredth_or_less_is_none() -> None:
    world = World(plan(parallel=1, limit=20, patience=3), 1)
    values = iter([1.0, 0.995, 0.992, 0.9905, 0.1])
    run(world, lambda possible: possible[0], lambda: ("Completed", next(values)))
    assert (world.ended, len(world.made)) == ("Completed", 4)
    assert world.shown["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.9905


@pytest.mark.parametrize("converges", [True, False])
def test_a_search_that_has_converged_says_when_and_ends_if_it_is_to(*, converges: bool) -> None:
    world = World(plan(parallel=1, limit=20, converges=converges), 1)
    values = iter([3.0, 2.0, *[1.0] * 20])
    run(world, lambda possible: possible[0], lambda: ("Completed", next(values)))
    assert (world.ended, len(world.made)) == ("Completed", 3 + LEAST_CONVERGING if converges else 20)
    assert world.shown["TuningJobCompletionDetails"]["ConvergenceDetectedTime"] == 0.0


@given(sizes=st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=1, max_size=4))
def test_definitions_take_turns_until_each_is_searched_whole(sizes: list[int | None]) -> None:
    definitions = [{} if size is None else {"size": size} for size in sizes]
    expected = [
        (index, ordinal) for ordinal in range(9) for index, size in enumerate(sizes) if size is None or ordinal < size
    ]
    assert [turn(definitions, number) for number in range(1, len(expected) + 1)] == expected


NUMBERS = st.floats(1e-6, 1e6, allow_nan=False)


@st.composite
def searched(draw: st.DrawFn) -> dict[str, Any]:
    """Draw ParameterRanges of every type and scale."""
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    near, far = sorted((draw(st.floats(0, 0.999999)), draw(st.floats(0, 0.999999))))
    whole = sorted((draw(st.integers(1, 10**9)), draw(st.integers(1, 10**9))))
    scale = draw(st.sampled_from(["Auto", "Linear", "Logarithmic"]))
    return {
        "ContinuousParameterRanges": [
            {"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale},
            {"Name": "y", "MinValue": str(near), "MaxValue": str(far), "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [
            {"Name": "i", "MinValue": str(whole[0]), "MaxValue": str(whole[1]), "ScalingType": scale}
        ],
        "CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b"]}],
    }


@settings(max_examples=40, deadline=None)
@given(
    parameters=searched(),
    strategy=st.sampled_from(["Random", "Bayesian"]),
    objectives=st.lists(st.floats(-1, 1), max_size=12),
)
def test_values_are_in_their_ranges_and_the_same_again(parameters: Any, strategy: str, objectives: list[float]) -> None:
    ranges = ranges_of(parameters)
    question: dict[str, Any] = {
        "strategy": strategy,
        "seed": "s",
        "ranges": ranges,
        "type": "Maximize",
        "done": [],
        "running": [],
    }
    for number, value in enumerate(objectives):
        (values,) = suggest({**question, "numbers": [number]})
        question["done"].append([values, value])
    question = json.loads(json.dumps(question))
    first, second = suggest({**question, "numbers": [50, 51]}), suggest({**question, "numbers": [50, 51]})
    assert first == second
    for each in ranges:
        for values in first:
            text = text_of(each, values[each["name"]])
            assert value_of(each, text) == values[each["name"]]


ANY = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    ends=st.tuples(ANY, ANY).map(sorted),
    scale=st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]),
    strategy=st.sampled_from(["Random", "Bayesian"]),
)
def test_of_every_range_that_is_accepted_a_value_is_chosen(ends: list[float], scale: str, strategy: str) -> None:
    """A range of which none can be is asked about again and again, and its search never ends."""
    entry = {"Name": "x", "MinValue": repr(ends[0]), "MaxValue": repr(ends[1]), "ScalingType": scale}
    try:
        ranges = ranges_of({"ContinuousParameterRanges": [entry]})
    except AwsError:
        return
    question: dict[str, Any] = {"strategy": strategy, "seed": "s", "ranges": ranges, "type": "Minimize", "running": []}
    done: list[Any] = []
    for number in range(13 if strategy == "Bayesian" else 1):
        (values,) = suggest({**question, "numbers": [number], "done": done})
        assert ends[0] <= values["x"] <= ends[1]
        done.append([values, float(number)])


def test_the_server_starts_without_optuna() -> None:
    code = "import sys; from backends import load_components; load_components(); import server.app; assert 'optuna' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
