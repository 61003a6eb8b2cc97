"""`_kfold`: k models on k folds of train and validation together, repeated `_num_cv_round` times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit.opt_ml import opt_ml
from containers.xgboost.release import release

if TYPE_CHECKING:
    from pathlib import Path

PREDICTIONS, STORED_SINCE = "predictions.csv", (1, 3, 1)


def train(values: dict[str, Any], matrices: dict[str, Any]) -> dict[str, Any]:
    """Return `xgboost-model-<fold>` -> booster; prints each fold's lines and the mean of the last round over all.

    Since 1.3-1 every row's label and prediction are stored as predictions.csv of the job's output data.
    """
    import scipy.sparse
    import xgboost

    from containers.xgboost import arguments, callbacks

    rows = scipy.sparse.vstack([matrix.get_data() for matrix in matrices.values()], format="csr")
    label = np.concatenate([matrix.get_label() for matrix in matrices.values()])
    weights = [matrix.get_weight() for matrix in matrices.values()]
    weight = np.concatenate(weights) if all(part.size for part in weights) else None
    given = arguments.library_arguments(values)
    boosters: dict[str, Any] = {}
    scores: dict[str, list[float]] = {}
    predicted: list[tuple[np.ndarray, np.ndarray]] = []
    classes = values.get("objective", "").startswith(("binary:", "multi:"))
    for number, (inside, outside) in enumerate(_folds(label, values, stratified=classes)):
        parts = {
            name: xgboost.DMatrix(rows[chosen], label=label[chosen], weight=None if weight is None else weight[chosen])
            for name, chosen in (("train", inside), ("validation", outside))
        }
        log: dict[str, dict[str, list[float]]] = {}
        print(f"Training fold {number}", flush=True)
        booster = boosters[f"{arguments.MODEL_NAME}-{number}"] = xgboost.train(
            num_boost_round=values["num_round"],
            dtrain=parts["train"],
            evals=[(matrix, name) for name, matrix in parts.items()],
            evals_result=log,
            callbacks=[callbacks.LogLine(0), *arguments.early_stopping(values, parts)],
            verbose_eval=False,
            **given,
        )
        predicted.append((outside, booster.predict(parts["validation"])))
        for name, metrics in log.items():
            for metric, rounds in metrics.items():
                scores.setdefault(f"{name}-{metric}", []).append(rounds[-1])
    print(
        "\t".join(
            [f"[{values['num_round']}]", *(f"{name}:{np.mean(values_of):.5f}" for name, values_of in scores.items())]
        ),
        flush=True,
    )
    if release() >= STORED_SINCE:
        store(opt_ml().output / "data" / PREDICTIONS, label, predicted, classes=classes)
    return boosters


def store(path: Path, label: np.ndarray, predicted: list[tuple[np.ndarray, np.ndarray]], *, classes: bool) -> None:
    """Write a line a row: its label, and the mean of its predictions; with classes the mean probability and the commonest label.

    `predicted`: row numbers [m] and predictions [m] or [m, k], each row as often as the others. A lone column counts as
    a probability, as in the container (also the labels of multi:softmax).
    """
    of_row: list[list[tuple[float, float]]] = [[] for _ in label]
    for rows, scores in predicted:
        lone = scores.ndim == 1
        labels = (scores > 0.5).astype(float) if lone else np.argmax(scores, axis=-1).astype(float)
        values = scores if lone else scores[np.arange(len(scores)), np.argmax(scores, axis=-1)]
        for row, pair in zip(rows.tolist(), zip(values.tolist(), labels.tolist(), strict=True), strict=True):
            of_row[row].append(pair)
    columns: list[Any] = [label, [np.mean([value for value, _ in pairs]) for pairs in of_row]]
    if classes:
        columns.append([_commonest([given for _, given in pairs]) for pairs in of_row])
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")


def _commonest(labels: list[float]) -> float:
    """Return the label that is there most often, of several the lowest."""
    values, counts = np.unique(labels, return_counts=True)
    return float(values[np.argmax(counts)])


def _folds(label: np.ndarray, values: dict[str, Any], *, stratified: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (inside, outside) row numbers; with classes, each fold has every class in its proportion."""
    random = np.random.default_rng(values.get("seed", 0))
    folds = []
    for _ in range(values.get("_num_cv_round", 1)):
        order = random.permutation(label.size)
        if stratified:
            order = order[np.argsort(label[order], kind="stable")]
        owner = np.empty(label.size, int)
        owner[order] = np.arange(label.size) % values["_kfold"]
        folds += [(np.flatnonzero(owner != fold), np.flatnonzero(owner == fold)) for fold in range(values["_kfold"])]
    return folds
