"""MetricDataQueries: metrics and expressions that name each other, computed in an order in which that works."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.cloudwatch import grammar, mathematics, points, refusals, search, statistics
from backends.aws.cloudwatch.metrics import walk
from backends.aws.cloudwatch.series import Scope, Series
from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.context import Context

    Query = dict[str, Any]
    Result = Series | list[Series]

MAX_QUERIES = 500
ID = re.compile(r"[a-z][a-zA-Z0-9_]*")


def check(cx: Context, queries: Sequence[Query]) -> None:
    """Refuse what is wrong with the queries themselves. ValidationError."""
    if len(queries) > MAX_QUERIES:
        raise refusals.validation(f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
    if len({query["Id"] for query in queries}) < len(queries):
        raise refusals.validation("The values for parameter id in MetricDataQueries must be unique.")
    for number, query in enumerate(queries, 1):
        where = f"MetricDataQueries.member.{number}"
        if ID.fullmatch(query["Id"]) is None:
            raise refusals.validation(
                f"The value {query['Id']} for parameter {where}.Id is not matching the expected pattern."
            )
        if ("MetricStat" in query) == ("Expression" in query):
            raise refusals.validation(
                f"Either {where}.MetricStat or {where}.Expression must be specified, and not both."
            )
        if "${" in query.get("Label", ""):
            raise errors.not_implemented("cloudwatch: dynamic labels")
        if query.get("AccountId", cx.account) != cx.account:
            raise errors.not_implemented("cloudwatch: metrics of other accounts")
        if "MetricStat" in query:
            _check_stat(query["MetricStat"], where)
        elif query["Expression"].lstrip().upper().startswith("SELECT "):
            raise refusals.validation("LocalMaker does not implement Metrics Insights queries (SELECT) yet.")
    _order(queries)


def _check_stat(stat: dict[str, Any], where: str) -> None:
    if statistics.reader(stat["Stat"]) is None:
        raise refusals.validation(f"The value {stat['Stat']} for parameter {where}.MetricStat.Stat is not supported.")
    if not points.is_period(stat["Period"]):  # Unverified: wording
        raise refusals.validation(
            f"The parameter {where}.MetricStat.Period must be 1, 5, 10, 20, 30 or a multiple of 60."
        )
    if "MetricName" not in stat["Metric"] or "Namespace" not in stat["Metric"]:
        raise refusals.validation(f"The parameter {where}.MetricStat.Metric needs a MetricName and a Namespace.")


def _order(queries: Sequence[Query]) -> list[Query]:
    """Return metrics first, then each expression after those that it names. ValidationError for a circle."""
    waiting = {query["Id"]: query for query in queries}
    ordered = [query for query in queries if "MetricStat" in query]
    for query in ordered:
        del waiting[query["Id"]]
    needs = {name: grammar.names_in(grammar.parse(query["Expression"])) for name, query in waiting.items()}
    while waiting:
        ready = [name for name in waiting if not needs[name] & waiting.keys()]
        if not ready:
            raise refusals.validation(f"The expressions {', '.join(sorted(waiting))} use each other in a circle.")
        ordered += [waiting.pop(name) for name in ready]
    return ordered


def compute(cx: Context, queries: Sequence[Query], start: float, end: float) -> dict[str, Result]:
    """Return every query's result by its id."""
    known: dict[str, Result] = {}
    metrics = frozenset(query["Id"] for query in queries if "MetricStat" in query)
    periods = [query["MetricStat"]["Period"] for query in queries if "MetricStat" in query]
    for query in _order(queries):
        if "MetricStat" in query:
            known[query["Id"]] = _metric(cx, query, start, end)
            continue
        period = query.get("Period", min(periods, default=60))
        first = points.rounded(start, period, cx.clock.now())
        scope = Scope(first, end, period, known, metrics, partial(_search, cx, start, end))
        try:
            known[query["Id"]] = mathematics.result(grammar.parse(query["Expression"]), scope)
        except errors.AwsError as error:
            error.message = f"Error in expression '{query['Id']}': {error.message}"
            raise
    return known


def _search(cx: Context, start: float, end: float, text: str, stat: str, period: int) -> list[Series]:
    """Return the series of the metrics that a search finds, at most as many as AWS gives."""
    holds = search.parse(text)
    _check_stat({"Stat": stat, "Period": period, "Metric": {"MetricName": "", "Namespace": ""}}, "SEARCH")
    series: list[Series] = []
    for namespace, name, written in walk(cx, {}):
        dimensions = orjson.loads(written)
        if len(series) < search.MOST_FOUND and holds(search.Candidate(namespace, name, dimensions)):
            shown = [{"Name": key, "Value": value} for key, value in dimensions.items()]
            metric = {"Namespace": namespace, "MetricName": name, "Dimensions": shown}
            label = " ".join([*dimensions.values(), name])  # Unverified: AWS leaves out what all of them share
            query = {"Label": label, "MetricStat": {"Metric": metric, "Stat": stat, "Period": period}}
            series.append(_metric(cx, query, start, end))
    return series


def _metric(cx: Context, query: Query, start: float, end: float) -> Series:
    stat = query["MetricStat"]
    named, period = stat["Metric"], stat["Period"]
    dimensions = refusals.dimensions(named.get("Dimensions", []))
    metric = points.Metric(named["Namespace"], named["MetricName"], dimensions, stat.get("Unit"))
    read = statistics.reader(stat["Stat"])
    assert read is not None
    periods = points.series(cx, metric, points.rounded(start, period, cx.clock.now()), end, period)
    values = ((at, read(of_period)) for at, of_period in sorted(periods.items()))
    label = query.get("Label", named["MetricName"])
    return Series({at: value for at, value in values if value is not None}, period, label)
