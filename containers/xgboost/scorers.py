"""The model behind the protocol: model.onnx where training left one, else the native booster or several of them."""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from containers.toolkit import recordio, tables
from containers.toolkit.serving import RequestError
from containers.xgboost.release import release

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


class Scorer(Protocol):
    """Scores rows [n, features] float32; knows its objective and, for classes, how many."""

    features: int
    pickled: bool
    """Whether the model file is a pickle, for which the real container counts columns more strictly."""

    @property
    def objective(self) -> str:
        """The objective's name, `binary:logistic`."""

    @property
    def classes(self) -> int:
        """num_class, 0 where there is none."""

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return what `Booster.predict` does: [n] or [n, k]."""


def load(directory: Path) -> Scorer:
    """Load the directory's model. Raises FileNotFoundError where there is none."""
    natives = native_paths(directory)
    onnx = directory / "model.onnx"
    if onnx.is_file() and len(natives) <= 1:
        return OnnxScorer(onnx, natives)
    if not natives:
        raise FileNotFoundError(f"no model file in {directory}")
    return BoosterScorer(natives)


class OnnxScorer:
    """The ONNX twin: 20 times quicker for a row, and no library to import. The objective still comes from the booster."""

    def __init__(self, path: Path, natives: list[Path]) -> None:
        from containers.inference.model import Model

        self._model = Model(path)
        self._input = self._model.inputs[0]
        self.features = self._input.shape[1] or 0
        self._natives = natives
        self.pickled = _is_pickle(natives)
        self._booster: BoosterScorer | None = None

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return [n] or [n, k]."""
        return self._model.run({self._input.name: np.ascontiguousarray(rows, np.float32)})[0]

    @property
    def objective(self) -> str:
        """Ask the booster, loaded on first use. Raises RequestError 400 where there is none."""
        return self._native().objective

    @property
    def classes(self) -> int:
        """Ask the booster."""
        return self._native().classes

    def _native(self) -> BoosterScorer:
        if self._booster is None:
            if not self._natives:
                raise RequestError(400, "selectable outputs need the native xgboost-model beside model.onnx")
            self._booster = BoosterScorer(self._natives)
        return self._booster


class BoosterScorer:
    """One booster, or several of an archive: their mean, or their vote where the objective gives a class."""

    def __init__(self, paths: list[Path]) -> None:
        self._boosters = [load_booster(path) for path in paths]
        self.features = int(self._boosters[0].num_features())
        self.pickled = _is_pickle(paths)
        learner = json.loads(self._boosters[0].save_config())["learner"]
        self.objective = str(learner["objective"]["name"])
        self.classes = int(learner["learner_model_param"].get("num_class") or 0)
        self._is_linear = learner["gradient_booster"]["name"] == "gblinear"
        _log.info("loaded %s", ", ".join(path.name for path in paths))

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return [n] or [n, k]."""
        scores = [self._predicted(booster, rows) for booster in self._boosters]
        if len(scores) == 1:
            return scores[0]
        if self.objective in ("multi:softmax", "binary:hinge"):
            return np.asarray([_mode(votes) for votes in np.stack(scores, axis=1)])
        return np.asarray(np.mean(scores, axis=0))

    def _predicted(self, booster: Any, rows: np.ndarray) -> np.ndarray:
        if self._is_linear:
            # The library predicts in place for trees only.
            import xgboost

            return np.asarray(booster.predict(xgboost.DMatrix(rows), validate_features=False))
        return np.asarray(booster.inplace_predict(rows, validate_features=False))


def default_input(body: bytes | str, content_type: str) -> Any:
    """Be input_fn for a script that has none: a DMatrix of CSV, libsvm or recordio-protobuf. Raises RequestError 415."""
    import xgboost

    raw = body.encode() if isinstance(body, str) else body
    content_type = content_type.partition(";")[0].strip()
    if content_type == "text/csv":
        return xgboost.DMatrix(tables.csv(raw))
    if content_type in ("text/libsvm", "text/x-libsvm"):
        return xgboost.DMatrix(tables.libsvm(raw).dense())
    if content_type == "application/x-recordio-protobuf":
        from containers.xgboost.data import features_of

        features = features_of(recordio.records(raw))
        return xgboost.DMatrix(features["sparse"].dense() if "sparse" in features else features["dense"])
    raise RequestError(415, f"cannot read {content_type}; define input_fn in inference.py")


def native_paths(directory: Path) -> list[Path]:
    """Return the files that hold boosters, whatever they are called; before 1.2-2 and without ensembles only one.

    Files that begin with a dot are none, nor is the ONNX twin; the name that training gives comes first.
    """
    paths = [p for p in directory.iterdir() if p.is_file() and p.name[0] != "." and p.suffix != ".onnx"]
    paths.sort(key=lambda path: (path.name != "xgboost-model", path.name))
    several = release() >= (1, 2, 2) and os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true"
    return paths if several else paths[:1]


def _is_pickle(paths: list[Path]) -> bool:
    """Return whether the first of the files is a pickle, by the byte that all protocols since 2 begin with."""
    if not paths:
        return False
    with paths[0].open("rb") as file:
        return file.read(1) == b"\x80"


def load_booster(path: Path) -> Any:
    """Load a pickle, or any format that XGBoost ever wrote. Raises RuntimeError with both complaints."""
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]  # see training.train
    import xgboost

    from containers.xgboost import legacy

    body = path.read_bytes()
    try:
        if legacy.is_legacy(body):
            return legacy.booster(body)
        # Loading from bytes tells the formats apart by content; a path without a suffix draws a warning.
        return xgboost.Booster(model_file=bytearray(body))
    except Exception as native:  # noqa: BLE001 - whatever it complains of, a pickle is tried next
        try:
            return _unpickled(body)
        except Exception as pickled:  # noqa: BLE001 - unpickling may raise anything
            raise RuntimeError(
                f"Model {path} cannot be loaded:\nPickle load error={pickled}\nXGB load model error={native}"
            ) from native


def _unpickled(body: bytes) -> Any:
    """Return the booster of a pickle, also of one that an older library wrote; raises what the newer one says."""
    if sys.modules.get("sklearn") is None:
        sys.modules.pop("sklearn", None)  # a pickled XGBClassifier needs the real one
    try:
        loaded = pickle.loads(body)  # noqa: S301 - the container's own contract: the model is the user's code
    except Exception:
        from containers.xgboost import legacy

        try:
            return legacy.pickled(body)
        except Exception:  # noqa: BLE001 - the first complaint says more
            _log.debug("not a pickle of an older library either", exc_info=True)
        raise
    return loaded.get_booster() if hasattr(loaded, "get_booster") else loaded


def _mode(votes: np.ndarray) -> float:
    values, counts = np.unique(votes, return_counts=True)
    return float(values[np.argmax(counts)])
