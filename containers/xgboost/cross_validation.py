"""`_kfold`: k models on k folds of train and validation together, repeated `_num_cv_round` times."""

from __future__ import annotations

from typing import Any

import numpy as np


def train(values: dict[str, Any], matrices: dict[str, Any]) -> dict[str, Any]:
    """Return `xgboost-model-<fold>` -> booster; prints each fold's lines and the mean of the last round over all."""
    import scipy.sparse
    import xgboost

    from containers.xgboost import callbacks, training

    rows = scipy.sparse.vstack([matrix.get_data() for matrix in matrices.values()], format="csr")
    label = np.concatenate([matrix.get_label() for matrix in matrices.values()])
    weights = [matrix.get_weight() for matrix in matrices.values()]
    weight = np.concatenate(weights) if all(part.size for part in weights) else None
    arguments = training.library_arguments(values)
    boosters: dict[str, Any] = {}
    scores: dict[str, list[float]] = {}
    classes = values.get("objective", "").startswith(("binary:", "multi:"))
    for number, (inside, outside) in enumerate(_folds(label, values, stratified=classes)):
        parts = {
            name: xgboost.DMatrix(rows[chosen], label=label[chosen], weight=None if weight is None else weight[chosen])
            for name, chosen in (("train", inside), ("validation", outside))
        }
        log: dict[str, dict[str, list[float]]] = {}
        print(f"Training fold {number}", flush=True)
        boosters[f"{training.MODEL_NAME}-{number}"] = xgboost.train(
            num_boost_round=values["num_round"],
            dtrain=parts["train"],
            evals=[(matrix, name) for name, matrix in parts.items()],
            evals_result=log,
            callbacks=[callbacks.LogLine(0), *training.early_stopping(values, parts)],
            verbose_eval=False,
            **arguments,
        )
        for name, metrics in log.items():
            for metric, rounds in metrics.items():
                scores.setdefault(f"{name}-{metric}", []).append(rounds[-1])
    print(
        "\t".join([f"[{len(boosters)}]", *(f"{name}:{np.mean(found):.5f}" for name, found in scores.items())]),
        flush=True,
    )
    return boosters


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
