"""Which hyperparameters to try next, and which trials are not worth their end: Optuna's samplers and pruners.

Bayesian is TPE (a tree-structured Parzen estimator, after ten random trials), Random and Hyperband are uniform samplers
(`early.py` has Hyperband's pruner); Grid is every combination in order. Nothing is kept: each answer is made from what a question holds,
with a random number generator of its own for each trial, derived from the seed and the trial's number. So a question that is
asked again after a crash has the same answer, and RandomSeed reproduces a search.

Source: guide, "How Hyperparameter Tuning Works" (2026-11); Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011);
Li et al., "Hyperband" (2018). Optuna is imported at the first question.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from backends.tuning.ranges import Range

STUDY = "tuning"


def suggest(question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the values of trials by the names of the ranges.

    The question: `strategy`, `seed`, `ranges`, `type` (Maximize, Minimize), `numbers` of the trials that are wanted, `done` as
    (values, objective or None) of those that have ended, and `running` values of those that have not.
    """
    ranges: Sequence[Range] = question["ranges"]
    if question["strategy"] == "Grid":
        return [combination(ranges, number) for number in question["numbers"]]
    running = list(question["running"])
    suggested = []
    for number in question["numbers"]:
        values = _values_of({**question, "running": running}, number)
        running.append(values)
        suggested.append(values)
    return suggested


def combinations(ranges: Sequence[Range]) -> int:
    """Return how many combinations categorical ranges have."""
    return math.prod(len(each["values"]) for each in ranges)


def combination(ranges: Sequence[Range], number: int) -> dict[str, Any]:
    """Return a combination by its number from 0; the last range changes first."""
    values = {}
    for each in reversed(ranges):
        number, place = divmod(number, len(each["values"]))
        values[each["name"]] = each["values"][place]
    return {each["name"]: values[each["name"]] for each in ranges}


def _values_of(question: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return one trial's values."""
    ranges: Sequence[Range] = question["ranges"]
    space = {each["name"]: _distribution(each) for each in ranges}
    seed = int.from_bytes(hashlib.sha256(f"{question['seed']} {number}".encode()).digest()[:4])
    study = _study(question["type"], _sampler(question["strategy"], seed))
    if question["strategy"] == "Bayesian":
        _add_trials(study, ranges, space, question["done"], question["running"])
    trial = study.ask(space)
    return {each["name"]: _outside(each, trial.params[each["name"]]) for each in ranges}


def _study(kind: str, sampler: BaseSampler | None = None) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=STUDY, direction="maximize" if kind == "Maximize" else "minimize", sampler=sampler
    )


def _sampler(strategy: str, seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    if strategy != "Bayesian":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that options may change with a version, which the constraints hold
        # Trials that run count as bad ones, so that those beside them look elsewhere.
        return TPESampler(seed=seed, constant_liar=True)


def _add_trials(
    study: Study,
    ranges: Sequence[Range],
    space: Mapping[str, BaseDistribution],
    done: Iterable[tuple[Mapping[str, Any], float | None]],
    running: Iterable[Mapping[str, Any]],
) -> None:
    from optuna.trial import TrialState, create_trial

    trials: list[FrozenTrial] = []
    for state, values, objective in (
        *((TrialState.COMPLETE if value is not None else TrialState.FAIL, params, value) for params, value in done),
        *((TrialState.RUNNING, params, None) for params in running),
    ):
        known = [each for each in ranges if each["name"] in values]  # of another job's trials some may be unknown here
        params = {each["name"]: _inside(each, values[each["name"]]) for each in known}
        fitting = {name: value for name, value in params.items() if _contains(space[name], value)}
        trials.append(
            create_trial(
                state=state,
                params=fitting,
                distributions={name: space[name] for name in fitting},
                value=objective,
            )
        )
    study.add_trials(trials)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    return value is not None and distribution._contains(distribution.to_internal_repr(value))  # noqa: SLF001 - Optuna's own check of a trial, which would refuse the whole study


def _distribution(searched: Range) -> BaseDistribution:
    """Return what Optuna draws from. ReverseLogarithmic draws the distance to 1 on a logarithmic scale."""
    from optuna import distributions

    if searched["kind"] == "Categorical":
        return distributions.CategoricalDistribution(searched["values"])
    is_logarithmic = searched["scale"] != "Linear"
    low, high = searched["low"], searched["high"]
    if searched["kind"] == "Integer":
        return distributions.IntDistribution(int(low), int(high), log=is_logarithmic)
    if searched["scale"] == "ReverseLogarithmic":
        low, high = 1.0 - high, 1.0 - low
    return distributions.FloatDistribution(low, high, log=is_logarithmic)


def _inside(searched: Range, value: Any) -> Any:
    """Return a hyperparameter's value as the distribution has it."""
    return 1.0 - value if searched.get("scale") == "ReverseLogarithmic" else value


def _outside(searched: Range, value: Any) -> Any:
    """Return a distribution's value as the hyperparameter has it."""
    if searched.get("scale") != "ReverseLogarithmic":
        return value
    return min(max(1.0 - value, searched["low"]), searched["high"])
