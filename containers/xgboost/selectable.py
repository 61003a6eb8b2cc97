"""SAGEMAKER_INFERENCE_OUTPUT: the named parts of a prediction, as the open container makes them of Booster.predict's output.

What an objective has no notion of is NaN; an objective that is not in the table is an error of the server's (500).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import recordio
from containers.toolkit.serving import Reply, RequestError
from containers.xgboost.release import release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from containers.xgboost.scorers import Scorer

_SCORED, _LABELED = ("predicted_score",), ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABLE = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")
CONTENT = {
    "reg:squarederror": _SCORED, "reg:logistic": _SCORED, "reg:gamma": _SCORED, "reg:absoluteerror": _SCORED,
    "reg:tweedie": _SCORED, "binary:logistic": _PROBABLE, "binary:logitraw": _LABELED, "binary:hinge": _LABELED,
    "multi:softmax": _LABELED, "multi:softprob": _PROBABLE,
}  # fmt: skip
_ORDER = (*_PROBABLE, *_SCORED)


def answer(scores: np.ndarray, keys: Sequence[str], accept: str, scorer: Scorer, *, batch: bool) -> Reply:
    """Return the selected content of predictions [n] or [n, k] in the type asked for. Raises RequestError 500."""
    objective = scorer.objective
    if objective not in CONTENT or (objective == "reg:absoluteerror" and release() < (1, 7, 0)):
        raise RequestError(500, f"Objective `{objective}` unsupported for selectable inference predictions.")
    classes = scores.shape[1] if scores.ndim == 2 else scorer.classes
    records = [_record(objective, score, keys, classes) for score in scores]
    if accept == "application/json":
        return Reply(json.dumps({"predictions": records}).encode())
    if accept == "application/jsonlines":
        return Reply("".join(json.dumps(record) + "\n" for record in records).encode(), accept)
    if accept == "application/x-recordio-protobuf":
        payloads = (
            recordio.encode_labels({k: np.atleast_1d(np.asarray(v, np.float32)) for k, v in r.items()}) for r in records
        )
        return Reply(recordio.framed(payloads), accept)
    lines = "\n".join(",".join(_field(record[key]) for key in keys) for record in records)
    return Reply((lines + "\n" * batch).encode(), "text/csv; charset=utf-8")


def _record(objective: str, score: np.ndarray, keys: Sequence[str], classes: int) -> dict[str, Any]:
    valid = CONTENT[objective]
    record = {key: _value(key, objective, score, classes) for key in _ORDER if key in keys and key in valid}
    return record | {key: np.nan for key in keys if key not in valid}


def _value(key: str, objective: str, score: np.ndarray, classes: int) -> Any:
    if key == "predicted_label":
        if objective == "multi:softprob":
            return int(np.argmax(score))
        threshold = {"binary:logistic": 0.5, "binary:logitraw": 0.0}.get(objective)
        return score.item() if threshold is None else int(score > threshold)
    if key == "labels":
        return list(range(2 if objective.startswith("binary:") else classes))
    if objective == "multi:softprob":
        return score.tolist() if key in ("probabilities", "raw_scores") else max(score).item()
    single = score.item()
    return [1.0 - single, single] if key in ("probabilities", "raw_scores") else single


def _field(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)
