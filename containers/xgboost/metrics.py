"""Metrics that the container adds to the library's (developer guide, "XGBoost evaluation metrics"), in numpy.

Each takes `predicted` and `label`, both [n]; class metrics take class numbers. scikit-learn would compute the same and
costs a second of import at the start of every job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def custom_metric(names: list[str], objective: str) -> Callable[[np.ndarray, Any], list[tuple[str, float]]]:
    """Return what `xgboost.train(custom_metric=)` takes; it reports every named metric."""

    def evaluate(predicted: np.ndarray, matrix: Any) -> list[tuple[str, float]]:
        label = matrix.get_label()
        classes = classes_of(predicted, objective)
        return [(name, METRICS[name](predicted if name in ("mse", "r2") else classes, label)) for name in names]

    return evaluate


def classes_of(predicted: np.ndarray, objective: str) -> np.ndarray:
    """Return class numbers [n] from the objective's output: probabilities, margins, or class numbers already."""
    if predicted.ndim == 2:
        best: np.ndarray = np.argmax(predicted, axis=1)
        return best if predicted.shape[1] > 1 else predicted[:, 0]
    if objective == "binary:logitraw":
        return (predicted > 0).astype(int)
    if objective in ("binary:logistic", "reg:logistic"):
        return (predicted > 0.5).astype(int)
    rounded: np.ndarray = np.rint(predicted).astype(int)
    return rounded


def _counts(predicted: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true positives, predicted and actual numbers, one entry a class [k]."""
    classes = np.union1d(predicted, label)
    hits = np.asarray([np.sum((predicted == c) & (label == c)) for c in classes], float)
    said = np.asarray([np.sum(predicted == c) for c in classes], float)
    actual = np.asarray([np.sum(label == c) for c in classes], float)
    return hits, said, actual


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    ratio = np.zeros_like(above)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _f1(predicted: np.ndarray, label: np.ndarray) -> np.ndarray:
    hits, said, actual = _counts(predicted, label)
    return _ratio(2 * hits, said + actual)


def _binary(predicted: np.ndarray, label: np.ndarray) -> tuple[float, float, float]:
    positive = (predicted == 1, label == 1)
    return float(np.sum(positive[0] & positive[1])), float(np.sum(positive[0])), float(np.sum(positive[1]))


def _precision(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, said, _ = _binary(predicted, label)
    return hits / said if said else 0.0


def _recall(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, _, actual = _binary(predicted, label)
    return hits / actual if actual else 0.0


def _f1_binary(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, said, actual = _binary(predicted, label)
    return 2 * hits / (said + actual) if said + actual else 0.0


def _accuracy(predicted: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean(predicted == label))


def _balanced_accuracy(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, _, actual = _counts(predicted, label)
    return float(np.mean(hits[actual > 0] / actual[actual > 0]))


def _r2(predicted: np.ndarray, label: np.ndarray) -> float:
    spread = float(np.sum((label - label.mean()) ** 2))
    return 1 - float(np.sum((label - predicted) ** 2)) / spread if spread else 0.0


def _precision_macro(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, said, _ = _counts(predicted, label)
    return float(_ratio(hits, said).mean())


def _recall_macro(predicted: np.ndarray, label: np.ndarray) -> float:
    hits, _, actual = _counts(predicted, label)
    return float(_ratio(hits, actual).mean())


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": lambda predicted, label: float(_f1(predicted, label).mean()),
    "f1_binary": _f1_binary,
    "f1_macro": lambda predicted, label: float(_f1(predicted, label).mean()),
    "mse": lambda predicted, label: float(np.mean((predicted - label) ** 2)),
    "precision": _precision,
    "precision_macro": _precision_macro,
    # Every example has one class, so micro averages of precision and recall are the accuracy.
    "precision_micro": _accuracy,
    "r2": _r2,
    "recall": _recall,
    "recall_macro": _recall_macro,
    "recall_micro": _accuracy,
}
