"""The documented hyperparameters of the built-in XGBoost, checked before any data is read.

Names, types, ranges: developer guide, "XGBoost hyperparameters", and the open container's declared ranges. Where the two
differ the container's are taken, since it is the container that refuses.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from containers.toolkit.command_line import ClientError
from containers.xgboost.release import release

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOM_METRICS = (
    "accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "mse", "precision", "precision_macro",
    "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
)  # fmt: skip
"""Computed by the container, not by the library (metrics.py)."""
MAXIMIZED = (*CUSTOM_METRICS, "auc", "aucpr", "map", "ndcg")
"""Metrics of which more is better; `mse` alone among the custom ones is not (see `is_maximized`)."""
LIBRARY_METRICS = (
    "aft-nloglik", "auc", "aucpr", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik",
    "interval-regression-accuracy", "logloss", "mae", "map", "mape", "merror", "mlogloss", "mphe", "ndcg",
    "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
_OBJECTIVES = (
    "binary:hinge", "binary:logistic", "binary:logitraw", "count:poisson", "multi:softmax", "multi:softprob", "rank:map",
    "rank:ndcg", "rank:pairwise", "reg:absoluteerror", "reg:gamma", "reg:linear", "reg:logistic", "reg:pseudohubererror",
    "reg:squarederror", "reg:squaredlogerror", "reg:tweedie", "survival:aft", "survival:cox",
)  # fmt: skip
_TREE_UPDATERS = (
    "distcol", "grow_colmaker", "grow_histmaker", "grow_local_histmaker", "grow_quantile_histmaker", "grow_skmaker",
    "prune", "refresh", "sync",
)  # fmt: skip
_LINEAR_UPDATERS = ("coord_descent", "shotgun")
_ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}


@dataclass(frozen=True)
class Number:
    """A range; None is unbounded. `open_low` and `open_high` leave out the bound itself."""

    kind: type[int | float]
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the range; NaN never is."""
        above = self.low is None or (value > self.low if self.open_low else value >= self.low)
        below = self.high is None or (value < self.high if self.open_high else value <= self.high)
        return above and below and not math.isnan(value)

    def __str__(self) -> str:
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        return f"{'(' if self.open_low or self.low is None else '['}{low}, {high}{')' if self.open_high or self.high is None else ']'}"


_FRACTION = Number(float, 0, 1)
_SAMPLE = Number(float, 0, 1, open_low=True)
_POSITIVE, _COUNT, _FLAG = Number(int, 1), Number(int, 0), Number(int, 0, 1)
_AT_LEAST_0 = Number(float, 0)
_BOOLEAN = ("true", "false")
_SPECIFICATION: dict[str, Number | tuple[str, ...] | str] = {
    "num_round": _POSITIVE, "csv_weights": _FLAG, "early_stopping_rounds": _POSITIVE, "verbosity": Number(int, 0, 3),
    "nthread": _POSITIVE, "booster": ("gbtree", "gblinear", "dart"), "eta": _FRACTION, "gamma": _AT_LEAST_0,
    "max_depth": _COUNT, "min_child_weight": _AT_LEAST_0, "max_delta_step": _AT_LEAST_0, "subsample": _SAMPLE,
    "colsample_bytree": _SAMPLE, "colsample_bylevel": _SAMPLE, "colsample_bynode": _SAMPLE, "lambda": _AT_LEAST_0,
    "alpha": _AT_LEAST_0, "tree_method": ("auto", "exact", "approx", "hist", "gpu_hist"),
    "sketch_eps": Number(float, 0, 1, open_low=True, open_high=True), "scale_pos_weight": Number(float, 0, open_low=True),
    "updater": "list", "dsplit": ("row", "col"), "refresh_leaf": _FLAG, "process_type": ("default", "update"),
    "grow_policy": ("depthwise", "lossguide"), "max_leaves": _COUNT, "max_bin": _COUNT,
    "predictor": ("auto", "cpu_predictor", "gpu_predictor"), "monotone_constraints": "tuple",
    "interaction_constraints": "nested list", "sample_type": ("uniform", "weighted"), "normalize_type": ("tree", "forest"),
    "rate_drop": _FRACTION, "one_drop": _FLAG, "skip_drop": _FRACTION, "lambda_bias": _FRACTION,
    "tweedie_variance_power": Number(float, 1, 2, open_low=True, open_high=True), "objective": _OBJECTIVES,
    "num_class": Number(int, 2), "base_score": _AT_LEAST_0, "_kfold": Number(int, 2), "_num_cv_round": _POSITIVE,
    "_tuning_objective_metric": "text", "silent": _FLAG, "eval_metric": "list", "seed": Number(int, -(2**31), 2**31 - 1, open_low=True),
    "num_parallel_tree": _POSITIVE, "save_model_on_termination": _BOOLEAN,
    "aft_loss_distribution": ("normal", "logistic", "extreme"), "aft_loss_distribution_scale": _AT_LEAST_0,
    "single_precision_histogram": _BOOLEAN, "deterministic_histogram": _BOOLEAN,
    "sampling_method": ("uniform", "gradient_based"), "prob_buffer_row": Number(int, 1, open_low=True),
    "use_dask_gpu_training": _BOOLEAN,
}  # fmt: skip


_FIRST, _LAST, ALIASED_SINCE = (0, 0, 0), (99, 0, 0), (0, 90, 2)
_RELEASES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "silent": (_FIRST, (1, 2, 0)), "num_parallel_tree": ((0, 90, 2), _LAST), "monotone_constraints": ((1, 0, 1), _LAST),
    "interaction_constraints": ((1, 0, 1), _LAST), "save_model_on_termination": ((1, 0, 1), _LAST),
    "aft_loss_distribution": ((1, 2, 1), _LAST), "aft_loss_distribution_scale": ((1, 2, 1), _LAST),
    "single_precision_histogram": ((1, 2, 1), (1, 7, 0)), "deterministic_histogram": ((1, 2, 1), _LAST),
    "_kfold": ((1, 2, 2), _LAST), "_num_cv_round": ((1, 2, 2), _LAST), "sampling_method": ((1, 3, 1), _LAST),
    "prob_buffer_row": ((1, 3, 1), _LAST), "use_dask_gpu_training": ((1, 5, 1), _LAST),
}  # fmt: skip
"""First release that knows a hyperparameter, and the first that does not any more (the open container, by its branches)."""


def checked(raw: Mapping[str, str]) -> dict[str, Any]:
    """Return the hyperparameters by their proper names with their proper types.

    Raises ClientError for an unknown name, a wrong type or range, a missing one, and combinations that cannot be.
    """
    values: dict[str, Any] = {}
    now = release()
    for given, text in raw.items():
        name = _ALIASES.get(given, given) if now >= ALIASED_SINCE else given
        since, until = _RELEASES.get(name, (_FIRST, _LAST))
        if name not in _SPECIFICATION or not since <= now < until:
            raise ClientError(f"Extraneous hyperparameter found: {given}")
        values[name] = _parsed(name, text.strip(), _SPECIFICATION[name])
    if "num_round" not in values:
        raise ClientError("Missing required hyperparameter: num_round")
    _check_together(values)
    return values


def is_maximized(metric: str) -> bool:
    """Return whether more of this metric is better (`ndcg@5` counts as `ndcg`)."""
    name = metric.split("@", maxsplit=1)[0]
    return name in MAXIMIZED and name != "mse"


def _parsed(name: str, text: str, kind: Number | tuple[str, ...] | str) -> Any:
    if isinstance(kind, Number):
        return _number(name, text, kind)
    if isinstance(kind, tuple):
        if text not in kind:
            raise ClientError(f"Hyperparameter {name}: value {text} is not one of: {', '.join(kind)}")
        return text
    if kind == "list":
        items = [item.strip() for item in text.strip("[]").replace("'", "").replace('"', "").split(",") if item.strip()]
        if not items:
            raise ClientError(f"Hyperparameter {name}: expected a comma-separated list, got nothing")
        return items
    return text if kind == "text" else _constraints(name, text, kind)


def _number(name: str, text: str, kind: Number) -> float:
    try:
        value = kind.kind(text)
    except ValueError as error:
        expected = "an integer" if kind.kind is int else "a number"
        raise ClientError(f"Hyperparameter {name}: could not parse value, expected {expected}, got {text!r}") from error
    if not kind.holds(value):
        raise ClientError(f"Hyperparameter {name}: value {text} is not in range {kind}")
    return value


def _constraints(name: str, text: str, kind: str) -> str:
    """Check the nesting; the library takes the text itself."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ClientError(f"Hyperparameter {name}: could not parse value, expected a {kind} of integers") from error
    if kind == "tuple":
        good = isinstance(value, tuple | list) and all(item in (-1, 0, 1) for item in value)
    else:
        good = isinstance(value, list) and all(
            isinstance(group, list) and all(isinstance(item, int) and item >= 0 for item in group) for group in value
        )
    if not good:
        raise ClientError(f"Hyperparameter {name}: value {text} is not a {kind} of allowed integers")
    return text


def _check_together(values: dict[str, Any]) -> None:
    objective = values.get("objective")
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in values:
        raise ClientError("Require input for parameter 'num_class' for multi-classification")
    if objective is None and "num_class" in values:
        raise ClientError(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )
    _check_metrics(values.get("eval_metric", []), objective or "reg:squarederror")
    _check_updaters(values)
    if "monotone_constraints" in values and values.get("tree_method") not in ("exact", "hist"):
        raise ClientError(
            "monotone_constraints can be used only when the tree_method parameter is set to 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and values.get("tree_method") not in ("exact", "hist", "approx"):
        raise ClientError(
            "interaction_constraints can be used only when the tree_method parameter is set to 'exact', 'hist' or 'approx'."
        )


def _check_metrics(metrics: list[str], objective: str) -> None:
    for metric in metrics:
        name, _, threshold = metric.partition("@")
        if threshold:
            if name not in ("error", "ndcg", "map"):
                raise ClientError(f"Metric '{metric}': only 'error', 'ndcg' and 'map' take a threshold.")
            _number(f"eval_metric {name}@t", threshold.rstrip("-"), Number(float))
        elif name not in LIBRARY_METRICS and name not in CUSTOM_METRICS:
            raise ClientError(f"Hyperparameter eval_metric: value {metric} is not one of the supported metrics")
        if name == "auc" and not objective.startswith(("binary:", "rank:", "multi:")):
            raise ClientError("Metric 'auc' can only be applied for classification and ranking problems.")
        if name == "aft-nloglik" and objective != "survival:aft":
            raise ClientError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_updaters(values: dict[str, Any]) -> None:
    updaters = values.get("updater")
    if not updaters:
        return
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            raise ClientError(f"Linear updater should be one of these options: {', '.join(_LINEAR_UPDATERS)}.")
        return
    if values.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise ClientError("process_type 'update' can only be used with updater 'refresh' and 'prune'")
        return
    if not set(updaters) <= set(_TREE_UPDATERS):
        raise ClientError(f"Tree updater should be selected from these options: {', '.join(_TREE_UPDATERS)}.")
    if sum(updater.startswith("grow_") or updater == "distcol" for updater in updaters) > 1:
        raise ClientError("Only one tree grow plugin can be selected.")
