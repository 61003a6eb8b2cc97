"""Boosters of XGBoost, in any format that the serving container reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.compiler.common import SAMPLE_ROWS, Converted
from containers.toolkit.command_line import ClientError

if TYPE_CHECKING:
    from pathlib import Path

MISSING = 0.05
"""Which share of the sample's values is missing."""


def convert(folder: Path, config: dict[str, Any]) -> Converted:  # noqa: ARG001 - a converter's parameters
    """Return the booster as ONNX. ClientError for none, several, or one without a faithful form."""
    from containers.xgboost import onnx_export, scorers

    paths = scorers.native_paths(folder)
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise ClientError(f"InputConfiguration: one model file is expected in the artifact; found: {names}.")
    try:
        booster = scorers.load_booster(paths[0])
    except RuntimeError as error:
        raise ClientError(f"InputConfiguration: {paths[0].name} is no XGBoost model.") from error
    import xgboost

    document = json.loads(booster.save_raw("json"))
    try:
        model = onnx_export.convert(document)
    except onnx_export.NotExportableError as error:
        raise ClientError(f"CompilationError: {error}") from error
    rows = sample(document["learner"], int(booster.num_features()))
    expected = booster.predict(xgboost.DMatrix(rows), validate_features=False)
    kind = f"An XGBoost booster ({document['learner']['objective']['name']})"
    return Converted(model.SerializeToString(), paths[0].name, kind, {"features": rows}, [expected])


def sample(learner: dict[str, Any], columns: int) -> np.ndarray:
    """Return rows [n, columns] float32 about the thresholds of the trees, some values missing (NaN)."""
    booster = learner["gradient_booster"]
    trees = (booster["gbtree"] if booster["name"] == "dart" else booster)["model"]["trees"]
    random = np.random.default_rng(0)
    rows = random.standard_normal((SAMPLE_ROWS, columns))
    for column in range(columns):
        thresholds = [
            value
            for tree in trees
            for value, feature, left in zip(
                tree["split_conditions"], tree["split_indices"], tree["left_children"], strict=True
            )
            if left != -1 and feature == column
        ]
        if thresholds:
            spread = float(np.std(thresholds)) or abs(thresholds[0]) or 1.0
            rows[:, column] = random.choice(thresholds, SAMPLE_ROWS) + spread * rows[:, column]
    rows[random.random(rows.shape) < MISSING] = np.nan
    return rows.astype(np.float32)
