"""Fitted estimators of scikit-learn, pickled by joblib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from containers.compiler.common import Converted
from containers.toolkit.command_line import ClientError

if TYPE_CHECKING:
    from pathlib import Path


def convert(folder: Path, config: dict[str, Any]) -> Converted:  # noqa: ARG001 - a converter's parameters
    """Return the estimator as ONNX. ClientError for none, or what is no fitted estimator."""
    from containers.scikit_learn import onnx_export
    from containers.scikit_learn.pickled import MODEL_NAMES, model_path

    path = model_path(folder)
    if path is None:
        raise ClientError(f"InputConfiguration: neither {' nor '.join(MODEL_NAMES)} is in the artifact.")
    try:
        estimator, model, rows, given = onnx_export.convert(path)
    except onnx_export.NotFittedError as error:
        raise ClientError(f"InputConfiguration: {path.name}: {error}.") from error
    expected = [np.asarray(estimator.predict(given))]
    if hasattr(estimator, "predict_proba"):
        expected.append(np.asarray(estimator.predict_proba(given)))
    kind = f"A scikit-learn {type(estimator).__name__}"
    return Converted(model, path.name, kind, {onnx_export.input_of(model): rows}, expected)
