"""Which training jobs of a search are not worth their end: the median rule of early stopping, and Hyperband's rungs. Pure.

A job's series is its objective after each epoch, as its log has said it so far.
Source: guide, "Stop Training Jobs Early" and "Hyperband tuning strategy" (2026-11); Li et al., "Hyperband" (2018). Hyperband's pruner is
Optuna's, imported at the first question.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Series = list[float]
LEAST_PREVIOUS = 4
"""How many jobs must have come so far before others are held against them. Unverified: the service's own number."""
REDUCTION_FACTOR = 3
"""Hyperband's eta. Unverified: the service's own."""
STUDY = "tuning"


def is_worse_than_median(current: Series, previous: Sequence[Series], kind: str) -> bool:
    """Return whether a job is worse after its last epoch than the median of what earlier ones were on average up to it."""
    epoch = len(current)
    averages = [fmean(series[:epoch]) for series in previous if len(series) >= epoch > 0]
    if len(averages) < LEAST_PREVIOUS:
        return False
    return current[-1] < median(averages) if kind == "Maximize" else current[-1] > median(averages)


def rungs_of(least: int, most: int) -> list[int]:
    """Return the epochs at which Hyperband compares."""
    rungs = [least]
    while rungs[-1] * REDUCTION_FACTOR <= most:
        rungs.append(rungs[-1] * REDUCTION_FACTOR)
    return rungs


def judge(question: Mapping[str, Any], series: Mapping[str, Series]) -> list[dict[str, Any]]:
    """Return what becomes of running trials: `number`, `stop`, and how many `rungs` it has been judged at.

    The question: `rule` (Median, Hyperband), `type`, `ended` trials as (number, training job) and `running` ones as (number,
    training job, rungs it was judged at), Hyperband's `least` and `most` epochs. `series`: by the names of training jobs.
    """
    if question["rule"] == "Hyperband":
        return _judge_by_rungs(question, series)
    previous = [series.get(name, []) for _, name in question["ended"]]
    return [
        {"number": number, "stop": is_worse_than_median(series.get(name, []), previous, question["type"]), "rungs": 0}
        for number, name, _ in question["running"]
    ]


def _judge_by_rungs(question: Mapping[str, Any], series: Mapping[str, Series]) -> list[dict[str, Any]]:
    """Have Optuna's pruner see what every trial was at its rungs; it judges a running one at those that are new, once.

    One that goes on after the most epochs is stopped, too; one that has just had them is about to end.
    """
    import optuna

    rungs = rungs_of(question["least"], question["most"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.HyperbandPruner(question["least"], question["most"], REDUCTION_FACTOR)
    study = optuna.create_study(
        study_name=STUDY, direction="maximize" if question["type"] == "Maximize" else "minimize", pruner=pruner
    )
    running = {number: judged for number, _, judged in question["running"]}
    names = {number: name for number, name, *_ in (*question["ended"], *question["running"])}
    trials = {number: study.ask() for number in range(1, max(names, default=0) + 1)}  # a bracket is by the number
    passed: dict[int, list[int]] = {number: _passed(rungs, series.get(name, [])) for number, name in names.items()}
    for number, name in sorted(names.items()):
        for epoch in passed[number][: running.get(number)]:
            trials[number].report(series[name][epoch - 1], epoch)
            trials[number].should_prune()
    judged = []
    for number, already in sorted(running.items()):
        stop = len(series.get(names[number], ())) > question["most"]  # shape HyperbandStrategyConfig: MaxResource
        for epoch in passed[number][already:]:
            trials[number].report(series[names[number]][epoch - 1], epoch)
            stop = trials[number].should_prune() or stop
        judged.append({"number": number, "stop": stop, "rungs": len(passed[number])})
    return judged


def _passed(rungs: Sequence[int], series: Series) -> list[int]:
    return [epoch for epoch in rungs if epoch <= len(series)]
