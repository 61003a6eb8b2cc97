"""Which training jobs are stopped early: the median rule and Hyperband's rungs, against what they are defined to be."""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.tuning.early import LEAST_PREVIOUS, is_worse_than_median, judge, rungs_of

SERIES = st.lists(st.floats(-10, 10), max_size=6)


@given(current=SERIES, previous=st.lists(SERIES, max_size=8))
def test_the_median_rule(current: list[float], previous: list[list[float]]) -> None:
    reached = [series for series in previous if len(series) >= len(current)]
    if not current or len(reached) < LEAST_PREVIOUS:
        assert not is_worse_than_median(current, previous, "Minimize")
        return
    limit = median(fmean(series[: len(current)]) for series in reached)
    assert is_worse_than_median(current, previous, "Minimize") == (current[-1] > limit)
    assert is_worse_than_median(current, previous, "Maximize") == (current[-1] < limit)


def question(**members: Any) -> dict[str, Any]:
    return {"rule": "Hyperband", "type": "Minimize", "least": 1, "most": 9, "ended": [], "running": [], **members}


def test_hyperband_stops_the_worst_at_its_rungs_and_judges_once() -> None:
    assert rungs_of(1, 9) == [1, 3, 9]
    ended = [(number, f"job-{number}") for number in range(1, 31)]
    series = {name: [float(number)] * 9 for number, name in ended}
    running = [(31, "good", 0), (32, "bad", 0), (33, "young", 0)]
    series |= {"good": [0.0] * 3, "bad": [99.0] * 8, "young": []}
    judged = {each["number"]: each for each in judge(question(ended=ended, running=running), series)}
    assert [judged[number]["stop"] for number in (31, 32, 33)] == [False, True, False]
    assert [judged[number]["rungs"] for number in (31, 32, 33)] == [2, 2, 0]
    again = judge(question(ended=ended, running=[(32, "bad", 2)]), series)
    assert again == [{"number": 32, "stop": False, "rungs": 2}]
    for epochs, stop in ((9, False), (10, True)):
        (long,) = judge(question(running=[(1, "long", 3)]), {"long": [0.0] * epochs})
        assert long["stop"] == stop


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=12), epochs=st.integers(0, 8))
def test_the_best_so_far_is_never_stopped(values: list[float], epochs: int) -> None:
    ended = [(number, str(number)) for number in range(1, len(values) + 1)]
    series = {str(number): [value] * 9 for number, value in enumerate(values, 1)}
    series["best"] = [-1.0] * epochs
    for rule in ("Hyperband", "Median"):
        (verdict,) = judge(question(rule=rule, ended=ended, running=[(len(values) + 1, "best", 0)]), series)
        assert not verdict["stop"]
