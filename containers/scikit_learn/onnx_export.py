"""After the script: `model.joblib` gets a twin `model.onnx`, if it predicts the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from containers.scikit_learn.pickled import model_path
from containers.toolkit.opt_ml import opt_ml

if TYPE_CHECKING:
    from pathlib import Path

_SAMPLE_ROWS = 256
_TOLERANCE = 1e-3
_OPSET = {"": 17, "ai.onnx.ml": 3}


def export_models() -> None:
    """Write model.onnx beside the estimator, or print why there is none. Never raises what the estimator causes."""
    directory = opt_ml().model
    path = model_path(directory)
    if path is None or (directory / "model.onnx").exists():
        return
    try:
        print(export(path, directory / "model.onnx"), flush=True)
    except Exception as problem:  # noqa: BLE001 - an estimator of the user's own may fail in any way; the job has succeeded
        print(f"No model.onnx: {type(problem).__name__}: {str(problem).strip().splitlines()[0][:300]}", flush=True)


class NotFittedError(ValueError):
    """A model that is no fitted scikit-learn estimator."""


def export(source: Path, target: Path) -> str:
    """Convert the estimator of `source` and keep it when it agrees; returns the log's sentence."""
    try:
        estimator, model, sample, given = convert(source)
    except NotFittedError as error:
        return f"No model.onnx: {error}"
    reason = disagreement(model, estimator, sample, given)
    if reason:
        return f"No model.onnx: {reason}"
    target.write_bytes(model)
    return f"model.onnx agrees with {source.name} on {len(sample)} rows"


def convert(source: Path) -> tuple[Any, bytes, np.ndarray, Any]:
    """Return the estimator of a file, its ONNX form, a sample [n, d] float32, and that as the estimator takes it.

    Raises NotFittedError.
    """
    import joblib

    estimator = joblib.load(source)
    columns = getattr(estimator, "n_features_in_", None)
    if not columns or not hasattr(estimator, "predict"):
        raise NotFittedError("the model is not a fitted scikit-learn estimator")
    if hasattr(estimator, "feature_names_in_"):
        # Fitted on named columns: selectors may go by name, which a plain tensor does not carry.
        estimator_input: Any = _named(estimator)
    else:
        estimator_input = np.asarray
    from skl2onnx import to_onnx

    sample = _sample(estimator, int(columns))
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    model = to_onnx(estimator, sample[:1], options=options, target_opset=_OPSET).SerializeToString()
    return estimator, model, sample, estimator_input(sample)


def input_of(model: bytes) -> str:
    """Return the name of a model's first input."""
    import onnx

    return str(onnx.load_model_from_string(model).graph.input[0].name)


def disagreement(model: bytes, estimator: Any, sample: np.ndarray, given: Any) -> str | None:
    """Return how the ONNX model differs from the estimator on `sample` [n, d] float32, or None.

    Labels may differ where a sample lies on a boundary that float32 moves; probabilities and values decide.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: sample})
    expected = np.asarray(estimator.predict(given))
    first = np.asarray(got[0]).reshape(expected.shape)
    if expected.dtype.kind == "f":
        scale = float(np.max(np.abs(expected))) or 1.0
        worst = float(np.max(np.abs(first - expected))) / scale
        return f"the predictions differ by {worst:.2g} of their range" if worst > _TOLERANCE else None
    equal = float(np.mean(first == expected))
    if equal < 1 - 1 / _SAMPLE_ROWS:
        return f"{1 - equal:.1%} of the predicted labels differ"
    if hasattr(estimator, "predict_proba") and len(got) > 1:
        worst = float(np.max(np.abs(np.asarray(got[1]) - estimator.predict_proba(given))))
        return f"the probabilities differ by up to {worst:.2g}" if worst > _TOLERANCE else None
    return None


def _sample(estimator: Any, columns: int) -> np.ndarray:
    """Return rows [n, d] in the range of what the estimator saw, as far as it tells; else standard normal."""
    random = np.random.default_rng(0)
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    mean, scale = np.asarray(getattr(first, "mean_", 0)), np.asarray(getattr(first, "scale_", 1))
    rows = random.standard_normal((_SAMPLE_ROWS, columns))
    if mean.shape == scale.shape == (columns,):
        rows = rows * scale + mean
    return rows.astype(np.float32)


def _named(estimator: Any) -> Any:
    import pandas as pd

    return lambda rows: pd.DataFrame(rows, columns=list(estimator.feature_names_in_))
