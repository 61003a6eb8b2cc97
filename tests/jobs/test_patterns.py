"""Regexes of users: linear where RE2 has them, killed in time where not."""

from __future__ import annotations

import time

import pytest

from backends.jobs import patterns
from backends.jobs.logs import compile_metrics, values_in
from backends.jobs.patterns import compile_pattern

EVIL = "a" * 100_000 + "!"


def test_a_regex_that_explodes_is_matched_in_linear_time() -> None:
    pattern = compile_pattern(r"((a+)+)$")
    assert pattern is not None
    begun = time.monotonic()
    assert list(pattern.search([EVIL, "aaa"])) == [(1, "aaa")]
    assert time.monotonic() - begun < 5  # it is 40 ms; backtracking takes longer than the universe has


def test_what_re2_lacks_works_and_is_ended_when_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "BUDGET_S", 0.5)
    definitions = [
        {"Name": "behind", "Regex": r"(?<=loss=)([0-9.]+)"},
        {"Name": "evil", "Regex": r"(?=a)((a+)+)$"},
        {"Name": "plain", "Regex": r"loss=([0-9.]+)"},
    ]
    metrics = compile_metrics(definitions)
    assert [metric.pattern.linear is None for metric in metrics] == [True, True, False]
    assert values_in(["loss=0.5", EVIL], metrics) == ([(0, "behind", 0.5), (0, "plain", 0.5)], ["evil"])


@pytest.mark.parametrize("regex", ["(", "(" * 240 + ")" * 240 + "(", "a{99999999999}", "*"])
def test_what_is_no_regex_is_a_value_error(regex: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compile_pattern(regex)


def test_many_patterns_are_tried_only_where_they_match() -> None:
    definitions = [{"Name": f"m{n}", "Regex": rf"m{n}=(\d+)"} for n in range(40)]
    lines = [f"m{n}={n}" for n in range(40)] + ["nothing", "m1=7 m2=8"]
    expected = [*((n, f"m{n}", float(n)) for n in range(40)), (41, "m1", 7.0), (41, "m2", 8.0)]
    assert values_in(lines, compile_metrics(definitions)) == (expected, [])


def test_lone_surrogates_are_text_too() -> None:
    assert values_in(["\ud800 x1"], compile_metrics([{"Name": "x", "Regex": "x(.)"}])) == ([(0, "x", 1.0)], [])


def test_the_budget_begins_when_the_process_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "BUDGET_S", 0.5)
    monkeypatch.setattr(patterns, "_WORKER", "import time\ntime.sleep(0.8)\n" + patterns._WORKER)
    behind = compile_pattern(r"(?<=loss=)([0-9.]+)")
    assert behind is not None
    assert list(behind.search(["loss=0.5"])) == [(0, "0.5")]
    monkeypatch.setattr(patterns, "START_S", 0.1)
    with pytest.raises(patterns.OutOfTimeError):
        list(behind.search(["loss=0.5"]))
