"""The model behind the protocol: model.onnx where training left one, else the native booster or several of them."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from containers.toolkit import recordio, tables
from containers.toolkit.serving import RequestError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


class Scorer(Protocol):
    """Scores rows [n, features] float32."""

    features: int

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return what `Booster.predict` does: [n] or [n, k]."""

    def content(self, rows: np.ndarray) -> dict[str, list[Any]]:
        """Return the selectable outputs, one list of n entries each."""


def load(directory: Path) -> Scorer:
    """Load the directory's model. Raises FileNotFoundError where there is none."""
    natives = _native_paths(directory)
    onnx = directory / "model.onnx"
    if onnx.is_file():
        return OnnxScorer(onnx, natives)
    if not natives:
        raise FileNotFoundError(f"no xgboost-model in {directory}")
    return BoosterScorer(natives)


class OnnxScorer:
    """The ONNX twin: 20 times quicker for a row, and no library to import. Selectable outputs still come from the booster."""

    def __init__(self, path: Path, natives: list[Path]) -> None:
        from containers.inference.model import Model

        self._model = Model(path)
        self._input = self._model.inputs[0]
        self.features = self._input.shape[1] or 0
        self._natives = natives
        self._booster: BoosterScorer | None = None

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return [n] or [n, k]."""
        return self._model.run({self._input.name: np.ascontiguousarray(rows, np.float32)})[0]

    def content(self, rows: np.ndarray) -> dict[str, list[Any]]:
        """Ask the booster, loaded on first use: it alone knows the objective. Raises RequestError 400 where there is none."""
        if self._booster is None:
            if not self._natives:
                raise RequestError(400, "selectable outputs need the native xgboost-model beside model.onnx")
            self._booster = BoosterScorer(self._natives)
        return self._booster.content(rows)


class BoosterScorer:
    """One booster, or the mean of the folds that `_kfold` left."""

    def __init__(self, paths: list[Path]) -> None:
        self._boosters = [_booster(path) for path in paths]
        self.features = int(self._boosters[0].num_features())
        self._objective, self._is_linear = _nature(self._boosters[0])
        _log.info("loaded %s", ", ".join(path.name for path in paths))

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return [n] or [n, k], the mean over the boosters."""
        scores = [self._predicted(booster, rows, margin=False) for booster in self._boosters]
        return np.asarray(scores[0] if len(scores) == 1 else np.mean(scores, axis=0))

    def content(self, rows: np.ndarray) -> dict[str, list[Any]]:
        """Return what the objective has: class labels, probabilities and margins, or a score."""
        if not self._objective.startswith(("binary:", "multi:")):
            return {"predicted_score": self.score(rows).tolist()}
        margin = np.mean([self._predicted(booster, rows, margin=True) for booster in self._boosters], axis=0)
        if self._objective.startswith("binary:"):
            return _binary_content(margin, hinge=self._objective == "binary:hinge")
        exponentials = np.exp(margin - margin.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        best = probabilities.argmax(axis=1)
        return {
            "predicted_label": best.tolist(),
            "labels": [list(range(margin.shape[1]))] * len(rows),
            "probability": probabilities.max(axis=1).tolist(),
            "probabilities": probabilities.tolist(),
            "raw_score": margin.max(axis=1).tolist(),
            "raw_scores": margin.tolist(),
        }

    def _predicted(self, booster: Any, rows: np.ndarray, *, margin: bool) -> np.ndarray:
        if self._is_linear:
            # The library predicts in place for trees only.
            import xgboost

            return np.asarray(booster.predict(xgboost.DMatrix(rows), output_margin=margin, validate_features=False))
        kind = "margin" if margin else "value"
        return np.asarray(booster.inplace_predict(rows, predict_type=kind, validate_features=False))


def default_model(directory: str) -> Any:
    """Be model_fn for a script that has none: the booster of the directory."""
    from pathlib import Path

    paths = _native_paths(Path(directory))
    if not paths:
        raise FileNotFoundError(f"no xgboost-model in {directory}; define model_fn in inference.py")
    return _booster(paths[0])


def default_input(body: bytes | str, content_type: str) -> Any:
    """Be input_fn for a script that has none: a DMatrix of CSV, libsvm or recordio-protobuf. Raises RequestError 415."""
    import xgboost

    raw = body.encode() if isinstance(body, str) else body
    if content_type == "text/csv":
        return xgboost.DMatrix(tables.csv(raw))
    if content_type in ("text/libsvm", "text/x-libsvm"):
        return xgboost.DMatrix(tables.libsvm(raw).dense())
    if content_type == "application/x-recordio-protobuf":
        from containers.xgboost.data import features_of

        found = features_of(recordio.records(raw))
        return xgboost.DMatrix(found["sparse"].dense() if "sparse" in found else found["dense"])
    raise RequestError(415, f"cannot read {content_type}; define input_fn in inference.py")


def _native_paths(directory: Path) -> list[Path]:
    """Return `xgboost-model`, or else the folds' models, or else a lone file in one of XGBoost's own formats."""
    if (directory / "xgboost-model").is_file():
        return [directory / "xgboost-model"]
    folds = sorted(directory.glob("xgboost-model-*"))
    return folds or sorted(p for p in directory.glob("*") if p.suffix in (".json", ".ubj", ".bst", ".model"))[:1]


def _booster(path: Path) -> Any:
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]  # see training.train
    import xgboost

    # Loading from bytes tells the formats apart by content; a path without a suffix draws a warning.
    return xgboost.Booster(model_file=bytearray(path.read_bytes()))


def _nature(booster: Any) -> tuple[str, bool]:
    """Return the objective and whether the booster is linear."""
    learner = json.loads(booster.save_config())["learner"]
    return str(learner["objective"]["name"]), learner["gradient_booster"]["name"] == "gblinear"


def _binary_content(margin: np.ndarray, *, hinge: bool) -> dict[str, list[Any]]:
    probability = 1 / (1 + np.exp(-margin))
    content: dict[str, list[Any]] = {
        "predicted_label": (margin > 0).astype(int).tolist(),
        "labels": [[0, 1]] * len(margin),
        "raw_score": margin.tolist(),
        "raw_scores": np.stack([-margin, margin], axis=1).tolist(),
    }
    if not hinge:
        content["probability"] = probability.tolist()
        content["probabilities"] = np.stack([1 - probability, probability], axis=1).tolist()
    return content
