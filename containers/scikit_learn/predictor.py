"""Serving scikit-learn: the user's handlers, or the ONNX twin, or the pickled estimator's `predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from containers.scikit_learn.pickled import MODEL_NAMES, model_path
from containers.toolkit import handlers
from containers.toolkit.release import tagged

if TYPE_CHECKING:
    from pathlib import Path

    from containers.toolkit.serving import Predictor

NEWEST, TRANSFORMS = (1, 4, 2), (1, 2, 1)
"""Releases of the image: the newest, and the first that knows `transform_fn`."""


def create(directory: Path) -> Predictor:
    """Load handlers or model, in this order: inference.py, an .onnx file, model.joblib or model.pkl."""
    module = handlers.user_module(directory)
    if module is None:
        from containers.inference import predictor
        from containers.inference.model import find

        if find(directory) is not None:
            return predictor.create(directory)
    defaults = handlers.Defaults(
        model_fn=handlers.no_model if module is not None else default_model,
        predict_fn=lambda data, model: model.predict(data),
        input_fn=handlers.decode_rows if module is not None else handlers.decode,
        output_fn=handlers.encode_rows if module is not None else handlers.encode,
        flask=True,
        transforms=tagged(NEWEST) >= TRANSFORMS,
    )
    return handlers.HandlerPredictor(directory, defaults, module)


def default_model(directory: str) -> Any:
    """Load model.joblib or model.pkl. Raises FileNotFoundError."""
    from pathlib import Path

    path = model_path(Path(directory))
    if path is None:
        raise FileNotFoundError(f"neither {' nor '.join(MODEL_NAMES)} in {directory}; define model_fn in inference.py")
    import joblib

    return joblib.load(path)
