"""Carry a job's lines from its runner to CloudWatch Logs and, through metric definitions, to the metrics store.

Lines, points and the offset up to which lines were read commit together: a crash neither loses nor repeats a line.
Source of the metric rules: developer guide, "Define metrics" (2026-11); `#011` is how CloudWatch shows a tab.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from backends.core import logstore, metricstore

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.jobs.queue import Run
    from backends.jobs.runners.base import Handle, LogLine, Runner

BATCH_LINES = 2000
TAB = r"(?:\t|#011)"


@dataclass(frozen=True)
class Metric:
    """One metric definition; the first group of a match anywhere in a line is its value."""

    name: str
    regex: re.Pattern[str]


@dataclass
class Destination:
    """Where a job's lines go: a log group, one stream per host, and the metrics that are read off them."""

    group: str
    streams: dict[str, str]
    metrics: tuple[Metric, ...] = ()
    namespace: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)


def compile_metrics(definitions: list[dict[str, str]]) -> tuple[Metric, ...]:
    """Compile metric definitions; raise re.error for a regex that is none. `#011` stands for a tab and for itself."""
    return tuple(Metric(entry["Name"], re.compile(entry["Regex"].replace("#011", TAB))) for entry in definitions)


def values_in(text: str, metrics: tuple[Metric, ...]) -> list[tuple[str, float]]:
    """Give the (name, value) pairs that a line holds."""
    found = []
    for metric in metrics:
        match = metric.regex.search(text)
        if match is None or not match.groups():
            continue
        try:
            value = float(match[1])
        except (TypeError, ValueError):
            continue
        if math.isfinite(value):  # CloudWatch refuses NaN and infinities too
            found.append((metric.name, value))
    return found


def pump(run: Run, runner: Runner, handle: Handle, to: Destination) -> bool:
    """Carry over the lines written since the last call, at most BATCH_LINES; tell whether there were any."""
    lines = list(islice(runner.logs(handle, run.state.get(_offset_of(handle), 0)), BATCH_LINES))
    if not lines:
        return False
    run.cx.write(lambda cx: _store(cx, run, handle, lines, to))
    return True


def _offset_of(handle: Handle) -> str:
    return f"log_offset:{handle.job}"


def pump_all(run: Run, runner: Runner, handle: Handle, to: Destination) -> None:
    """Carry over every line that is left."""
    while pump(run, runner, handle, to):
        run.check()


def say(cx: Context, to: Destination, host: str, text: str) -> None:
    """Write a line of the server's own into a job's log (a substitution, a limit, the progress of an image)."""
    stream = logstore.ensure_stream(cx, to.group, to.streams[host])
    logstore.append(cx, stream, [(int(cx.clock.now() * 1000), line) for line in text.splitlines() or [""]])


def _store(cx: Context, run: Run, handle: Handle, lines: list[LogLine], to: Destination) -> None:
    by_host: dict[str, list[tuple[int, str]]] = {}
    points: list[tuple[float, str, float]] = []
    shift_ms = int(cx.kernel.clocks.offset_s(cx.account) * 1000)
    for line in lines:
        at_ms = line.timestamp_ms + shift_ms
        by_host.setdefault(line.host, []).append((at_ms, line.text))
        points.extend((at_ms / 1000, name, value) for name, value in values_in(line.text, to.metrics))
    for host, entries in by_host.items():
        logstore.append(cx, logstore.ensure_stream(cx, to.group, to.streams[host]), entries)
    found = [{"time": at, "name": name, "value": value} for at, name, value in points]
    metricstore.append(cx, to.namespace, to.dimensions, found)
    last = run.state.get("metrics", {}) | {name: [value, at] for at, name, value in points}
    run.save_in(cx, **{_offset_of(handle): lines[-1].offset, "metrics": last})


def final_metrics(run: Run) -> list[dict[str, Any]]:
    """Give FinalMetricDataList: the last value of each metric."""
    found = run.state.get("metrics", {})
    return [{"MetricName": name, "Value": value, "Timestamp": at} for name, (value, at) in found.items()]
