"""The functions of metric math, by AWS's names. Source: CloudWatch user guide, "Functions supported for metric math"."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch.series import Scope, Series, as_array, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

NOT_BUILT = frozenset({"ANOMALY_DETECTION_BAND", "INSIGHT_RULE_METRIC", "SERVICE_QUOTA", "LAMBDA", "DB_PERF_INSIGHTS"})
SUMMARIES: dict[str, Callable[[Sequence[float]], float]] = {
    "AVG": statistics.fmean,
    "MAX": max,
    "MIN": min,
    "SUM": math.fsum,
    "STDDEV": statistics.pstdev,
}
EACH: dict[str, Callable[[float], float | None]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": lambda value: math.log(value) if value > 0 else None,
    "LOG10": lambda value: math.log10(value) if value > 0 else None,
}
CALENDAR: dict[str, Callable[[datetime], float]] = {
    "MINUTE": lambda when: when.minute,
    "HOUR": lambda when: when.hour,
    "DAY": lambda when: when.isoweekday(),
    "DATE": lambda when: when.day,
    "MONTH": lambda when: when.month,
    "YEAR": lambda when: when.year,
    "EPOCH": lambda when: when.timestamp(),
}


def call(name: str, arguments: Iterable[Any], scope: Scope) -> Any:
    """Call a function; its arguments are computed once it is known to be built. ValidationError for one that is none, that is not built, or for arguments it does not take."""
    if name in NOT_BUILT:
        raise fail(f"LocalMaker does not implement the function {name} of metric math yet.")
    values = list(arguments)
    if name in SUMMARIES:
        return _summary(name, *_taken(name, values, 1))
    if name in EACH:
        return _over(lambda series: _each(EACH[name], series), *_taken(name, values, 1))
    if name in CALENDAR:
        return _over(lambda series: _calendar(CALENDAR[name], series, scope), *_taken(name, values, 1))
    function = FUNCTIONS.get(name)
    if function is None:
        raise fail(f"{name} is no function of metric math.")  # Unverified: wording
    lowest, highest, work = function
    return work(scope, *_taken(name, values, lowest, highest))


def _taken(name: str, values: list[Any], lowest: int, highest: int | None = None) -> list[Any]:
    if not lowest <= len(values) <= (lowest if highest is None else highest):
        raise fail(f"The function {name} does not take {len(values)} arguments.")  # Unverified: wording
    return values


def _over(work: Callable[[Series], Series], value: Any) -> Any:
    if isinstance(value, list):
        return [work(series) for series in value]
    return work(_one(value))


def _one(value: Any) -> Series:
    if not isinstance(value, Series):
        raise fail("The function needs a time series.")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        raise fail("The function needs a number.")
    return float(value)


def _with(series: Series, points: dict[float, float]) -> Series:
    return Series(points, series.period, series.label)


def _summary(name: str, value: Any) -> Any:
    """Return a number for one time series; for an array, at each time, over the series (AVG: those without a value count 0)."""
    work = SUMMARIES[name]
    if isinstance(value, Series):
        return float(work([*value.points.values()])) if value.points else 0.0
    array = as_array(value, name)
    times = sorted({at for series in array for at in series.points})
    points = {}
    for at in times:
        values = [series.points[at] for series in array if at in series.points]
        points[at] = float(work(values + [0.0] * (len(array) - len(values)) if name == "AVG" else values))
    return Series(points, array[0].period if array else 60)


def _each(work: Callable[[float], float | None], series: Series) -> Series:
    computed = ((at, work(value)) for at, value in series.points.items())
    return _with(series, {at: value for at, value in computed if value is not None})


def _calendar(work: Callable[[datetime], float], series: Series, scope: Scope) -> Series:
    times = scope.grid(series.period)
    return _with(series, {at: float(work(datetime.fromtimestamp(at, UTC))) for at in times})


def _steps(work: Callable[[tuple[float, float], tuple[float, float]], float]) -> Callable[..., Any]:
    def over(_scope: Scope, value: Any) -> Any:
        def of_series(series: Series) -> Series:
            return _with(series, {new[0]: work(old, new) for old, new in pairwise(sorted(series.points.items()))})

        return _over(of_series, value)

    return over


def _running_sum(_scope: Scope, value: Any) -> Any:
    def of_series(series: Series) -> Series:
        ordered = sorted(series.points.items())
        return _with(series, dict(zip((at for at, _ in ordered), accumulate(v for _, v in ordered), strict=True)))

    return _over(of_series, value)


def _fill(scope: Scope, value: Any, filler: Any) -> Any:
    def of_series(series: Series) -> Series:
        return _with(series, _filled(series, filler, scope.grid(series.period)))

    return _over(of_series, value)


def _filled(series: Series, filler: Any, times: list[float]) -> dict[float, float]:
    points = series.points
    if filler == "REPEAT":
        return _repeated(points, times)
    if filler == "LINEAR":
        filled = dict(points)
        for (t0, v0), (t1, v1) in pairwise(sorted(points.items())):
            filled |= {at: v0 + (v1 - v0) * (at - t0) / (t1 - t0) for at in times if t0 < at < t1}
        return dict(sorted(filled.items()))
    if isinstance(filler, Series):
        return dict(sorted((filler.points | points).items()))
    number = _number(filler)
    return {at: points.get(at, number) for at in times}


def _repeated(points: dict[float, float], times: list[float]) -> dict[float, float]:
    repeated: dict[float, float] = {}
    last = None
    for at in times:
        last = points.get(at, last)
        if last is not None:
            repeated[at] = last
    return repeated


def _if(_scope: Scope, condition: Any, yes: Any, no: Any = None) -> Any:
    """Choose for every point of the condition: a missing `yes` is 0, a missing `no` is no point."""
    if isinstance(condition, float):
        return (yes if condition else no) if no is not None or condition else _with(_one(yes), {})
    series = _one(condition)
    points = {}
    for at, value in series.points.items():
        chosen = yes if value else no
        number = chosen.points.get(at, 0.0 if value else None) if isinstance(chosen, Series) else chosen
        if number is not None:
            points[at] = _number(number)
    return _with(series, points)


def _metrics(scope: Scope, part: Any = "") -> Any:
    if not isinstance(part, str):
        raise fail("METRICS takes a text.")
    return [scope.known[name] for name in scope.known if name in scope.metrics and part in name]


def _time_series(scope: Scope, value: Any) -> Any:
    return Series(dict.fromkeys(scope.grid(scope.period), _number(value)), scope.period)


def _sort(_scope: Scope, value: Any, by: Any, order: Any, limit: Any = None) -> Any:
    array = as_array(value, "SORT")
    if by not in {"AVG", "MIN", "MAX", "SUM"} or order not in {"ASC", "DESC"}:
        raise fail("SORT takes AVG, MIN, MAX or SUM, and ASC or DESC.")
    filled = sorted((s for s in array if s.points), key=lambda s: _summary(by, s), reverse=order == "DESC")
    ordered = [*filled, *(series for series in array if not series.points)]
    return ordered if limit is None else ordered[: int(_number(limit))]


def _slice(_scope: Scope, value: Any, first: Any, last: Any = None) -> Any:
    array = as_array(value, "SLICE")
    return array[int(_number(first)) : None if last is None else int(_number(last))]


def _count(_scope: Scope, value: Any) -> Any:
    if isinstance(value, Series):
        return float(len(value.points))
    array = as_array(value, "DATAPOINT_COUNT")
    times = sorted({at for series in array for at in series.points})
    points = {at: float(sum(at in series.points for series in array)) for at in times}
    return Series(points, array[0].period if array else 60)


def _search(scope: Scope, text: Any, statistic: Any, period: Any = 300.0) -> Any:
    if scope.search is None or not isinstance(text, str) or not isinstance(statistic, str):
        raise fail("SEARCH takes a search expression and a statistic, both as text.")
    return scope.search(text, statistic, int(_number(period)))


def _pick(place: int) -> Callable[..., Any]:
    def pick(_scope: Scope, value: Any) -> Any:
        array = as_array(value, "FIRST or LAST")
        if not array:
            raise fail("FIRST and LAST need an array that is not empty.")
        return array[place]

    return pick


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "DATAPOINT_COUNT": (1, 1, _count),
    "DIFF": (1, 1, _steps(lambda old, new: new[1] - old[1])),
    "DIFF_TIME": (1, 1, _steps(lambda old, new: new[0] - old[0])),
    "FILL": (2, 2, _fill),
    "FIRST": (1, 1, _pick(0)),
    "IF": (2, 3, _if),
    "LAST": (1, 1, _pick(-1)),
    "METRIC_COUNT": (1, 1, lambda _scope, value: float(len(as_array(value, "METRIC_COUNT")))),
    "METRICS": (0, 1, _metrics),
    "PERIOD": (1, 1, lambda _scope, value: float(_one(value).period)),
    "RATE": (1, 1, _steps(lambda old, new: (new[1] - old[1]) / (new[0] - old[0]))),
    "REMOVE_EMPTY": (1, 1, lambda _scope, value: [s for s in as_array(value, "REMOVE_EMPTY") if s.points]),
    "RUNNING_SUM": (1, 1, _running_sum),
    "SEARCH": (2, 3, _search),
    "SLICE": (2, 3, _slice),
    "SORT": (3, 4, _sort),
    "TIME_SERIES": (1, 1, _time_series),
}
"""name -> (fewest arguments, most arguments, the function of the scope and the arguments)."""
