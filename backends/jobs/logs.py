"""Carry a job's lines from its runner to CloudWatch Logs and, through metric definitions, to the metrics store.

Lines, points and the offset up to which lines were read commit together: a crash neither loses nor repeats a line.
Source of the metric rules: developer guide, "Define metrics" (2026-11); `#011` is how CloudWatch shows a tab.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from backends.core import logstore, metricstore
from backends.jobs.patterns import BUDGET_S, OutOfTimeError, Pattern, Prefilter, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.core.context import Context
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Handle, LogLine, Runner

BATCH_LINES = 2000
TAB = r"(?:\t|#011)"
SLOW = "LocalMaker: the regex of metric {} took more than {:g} s for a batch of lines; it is not matched any more."


@dataclass(frozen=True)
class Metric:
    """One metric definition; the first group of a match anywhere in a line is its value."""

    name: str
    pattern: Pattern


@dataclass
class Destination:
    """Where a job's lines go: a log group, one stream per host, and the metrics that are read off them."""

    group: str
    streams: dict[str, str]
    metrics: tuple[Metric, ...] = ()
    namespace: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)


def compile_metrics(definitions: list[dict[str, str]]) -> tuple[Metric, ...]:
    """Compile metric definitions; ValueError for a regex that is none. `#011` stands for a tab and for itself."""
    compiled = [(entry["Name"], compile_pattern(entry["Regex"].replace("#011", TAB))) for entry in definitions]
    return tuple(Metric(name, pattern) for name, pattern in compiled if pattern is not None)


def values_in(lines: Sequence[str], metrics: Sequence[Metric]) -> tuple[list[tuple[int, str, float]], list[str]]:
    """Return the (line's number, name, value) that lines hold, and the names of metrics whose regex took too long."""
    lines = [
        line.encode("utf-8", "replace").decode() for line in lines
    ]  # RE2 reads UTF-8, which has no lone surrogates
    matches: list[tuple[int, int, float]] = []
    slow = []
    tried = Prefilter([metric.pattern for metric in metrics]).lines_of(lines)
    for order, metric in enumerate(metrics):
        numbers = tried[order]
        try:
            for place, text in metric.pattern.search([lines[number] for number in numbers]):
                value = _number(text)
                if value is not None:
                    matches.append((numbers[place], order, value))
        except OutOfTimeError:
            slow.append(metric.name)
    return [(number, metrics[order].name, value) for number, order, value in sorted(matches)], slow


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None  # CloudWatch refuses NaN and infinities too


def pump(run: Run, runner: Runner, handle: Handle, to: Destination) -> bool:
    """Carry over the lines written since the last call, at most BATCH_LINES; tell whether there were any."""
    lines = list(islice(runner.logs(handle, run.state.get(_offset_of(handle), 0)), BATCH_LINES))
    if not lines:
        return False
    # Outside the transaction: a user's regex must not hold up whoever else writes.
    given_up = run.state.get("slow_metrics", [])
    wanted = [metric for metric in to.metrics if metric.name not in given_up]
    values, slow = values_in([line.text for line in lines], wanted) if wanted else ([], [])
    run.cx.write(lambda cx: _store(cx, run, handle, lines, to, values, slow))
    return True


def forget(run: Run, jobs: Iterable[str]) -> None:
    """Forget, at the next save, how far the logs of jobs were read that are gone."""
    for job in jobs:
        run.state.pop(f"log_offset:{job}", None)


def _offset_of(handle: Handle) -> str:
    return f"log_offset:{handle.job}"


def pump_all(run: Run, runner: Runner, handle: Handle, to: Destination) -> None:
    """Carry over every line that is left."""
    while pump(run, runner, handle, to):
        run.check()


def log_line(cx: Context, to: Destination, host: str, text: str) -> None:
    """Write a line of the server's own into a job's log (a substitution, a limit, the progress of an image)."""
    stream = logstore.ensure_stream(cx, to.group, to.streams[host])
    logstore.append(cx, stream, [(int(cx.clock.now() * 1000), line) for line in text.splitlines() or [""]])


def _store(
    cx: Context,
    run: Run,
    handle: Handle,
    lines: list[LogLine],
    to: Destination,
    values: list[tuple[int, str, float]],
    slow: list[str],
) -> None:
    by_host: dict[str, list[tuple[int, str]]] = {}
    shift_ms = int(cx.kernel.clocks.offset_s(cx.account) * 1000)
    for line in lines:
        by_host.setdefault(line.host, []).append((line.timestamp_ms + shift_ms, line.text))
    for host, entries in by_host.items():
        logstore.append(cx, logstore.ensure_stream(cx, to.group, to.streams[host]), entries)
    points = [((lines[number].timestamp_ms + shift_ms) / 1000, name, value) for number, name, value in values]
    metric_points = [{"time": at, "name": name, "value": value} for at, name, value in points]
    metricstore.append(cx, to.namespace, to.dimensions, metric_points)
    changes: dict[str, Any] = {}
    if slow:
        log_line(cx, to, lines[0].host, SLOW.format(", ".join(slow), BUDGET_S))
        changes["slow_metrics"] = [*run.state.get("slow_metrics", []), *slow]
    last = run.state.get("metrics", {}) | {name: [value, at] for at, name, value in points}
    run.save_in(cx, **{_offset_of(handle): lines[-1].offset, "metrics": last, **changes})


def final_metrics(run: Run) -> list[dict[str, Any]]:
    """Return FinalMetricDataList: the last value of each metric."""
    values = run.state.get("metrics", {})
    return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in values.items()]
