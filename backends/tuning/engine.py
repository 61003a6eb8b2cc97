"""What a search does outside of transactions: it chooses the values of its next trials; and what its step decides, done by the kernel."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.core import parents, work
from backends.core.metricstore import key_of
from backends.core.tables import metric_points
from backends.tuning.operations import JOB
from backends.tuning.step import QUEUE, WATCH_QUEUE
from backends.tuning.step import step as decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.commands import Command, Happened, State
    from backends.core.context import Context

NAMESPACE = "/aws/sagemaker/TrainingJobs"
"""Of the metrics that training jobs' logs hold (guide, "Monitor with CloudWatch")."""


# The calls are the service's own, as on AWS: a tuning job's role needs what its training jobs need, and not CreateTrainingJob
# (guide, "CreateHyperParameterTuningJob API: Execution Role Permissions").
@parents.waits(JOB, children=("TrainingJob",), role_member="", reads_children=True)
def step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Decide what follows (`step.py`)."""
    return decide(state, happened)


@work.does(QUEUE)
async def choose(_cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Choose values, in a thread, and answer the step with them."""
    body = item.body
    trials = await asyncio.to_thread(trials_of, body)
    return lambda inside: parents.answer(inside, body["arn"], body["tag"], {"trials": trials})


def trials_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials that questions come to, in the order of their numbers."""
    from backends.tuning import sampler

    trials = [
        {"number": number, "definition": question["definition"], "values": values}
        for question in body["questions"]
        for number, values in zip(question["trials"], sampler.suggest(question), strict=True)
    ]
    return sorted(trials, key=lambda trial: trial["number"])


@work.does(WATCH_QUEUE)
async def watch(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Look at what running training jobs have come to, in a thread, and answer the step with those that are to be stopped."""
    body = item.body
    judged: list[dict[str, Any]] = []
    for question in body["questions"]:
        names = [trial[1] for trial in (*question["ended"], *question["running"])]
        series = await cx.read(functools.partial(_series, metric=question["metric"], names=names))
        judged += await asyncio.to_thread(_judged, question, series)
    return lambda inside: parents.answer(inside, body["arn"], body["tag"], {"judged": judged})


def _judged(question: Mapping[str, Any], series: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    from backends.tuning import early

    return early.judge(question, series)


def _series(cx: Context, metric: str, names: list[str]) -> dict[str, list[float]]:
    """Read all values of a metric of training jobs, by their names, in the order they were said."""
    keys = {key_of({"TrainingJobName": name}): name for name in names}
    query = select(metric_points.c.dimensions, metric_points.c.value).where(
        metric_points.c.account == cx.account,
        metric_points.c.region == cx.region,
        metric_points.c.namespace == NAMESPACE,
        metric_points.c.name == metric,
        metric_points.c.dimensions.in_(keys),
    )
    series: dict[str, list[float]] = {name: [] for name in names}
    for row in cx.db.execute(query.order_by(metric_points.c.id)):
        series[keys[row.dimensions]].append(row.value)
    return series
