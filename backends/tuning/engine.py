"""What a search does outside of transactions: it chooses the values of its next trials; and what its step decides, done by the kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backends.core import parents, work
from backends.tuning.operations import JOB
from backends.tuning.step import QUEUE
from backends.tuning.step import step as decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.commands import Command, Happened, State
    from backends.core.context import Context


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
        {
            "number": ordinal * body["several"] + question["definition"] + 1,
            "definition": question["definition"],
            "values": values,
        }
        for question in body["questions"]
        for ordinal, values in zip(question["numbers"], sampler.suggest(question), strict=True)
    ]
    return sorted(trials, key=lambda trial: trial["number"])
