"""Serving XGBoost: the built-in algorithm's formats in and out (contract: training.md §12), or the user's handlers."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import arrays, handlers, recordio, tables
from containers.toolkit.serving import Predictor, Reply, Request, RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from containers.xgboost.scorers import Scorer

RECORDIO = "application/x-recordio-protobuf"
SELECTABLE = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores", "predicted_score")
_LONG_BYTES = 2**16
_LIBSVM = ("text/libsvm", "text/x-libsvm")


def create(directory: Path) -> Predictor:
    """Load the user's handlers, or the model for the built-in algorithm's protocol."""
    from containers.xgboost import scorers

    module = handlers.user_module(directory)
    if module is None:
        return XGBoostPredictor(scorers.load(directory))
    defaults = handlers.Defaults(
        model_fn=scorers.default_model,
        input_fn=scorers.default_input,
        predict_fn=lambda data, model: model.predict(data),
    )
    return handlers.HandlerPredictor(directory, defaults, module)


class XGBoostPredictor:
    """CSV, libsvm, JSON, JSON Lines and recordio-protobuf in; CSV (default), JSON, JSON Lines and recordio-protobuf out."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        chosen = os.environ.get("SAGEMAKER_INFERENCE_OUTPUT", "")
        self._selected = [name.strip() for name in chosen.split(",") if name.strip()]
        unknown = [name for name in self._selected if name not in SELECTABLE]
        if unknown:
            raise ValueError(f"SAGEMAKER_INFERENCE_OUTPUT: {', '.join(unknown)} is not one of {', '.join(SELECTABLE)}")
        self._one_per_line = os.environ.get("SAGEMAKER_BATCH", "").lower() not in ("", "0", "false")

    def invoke(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer at once, since a booster scores a row in microseconds; a long body goes to a thread."""
        if len(request.body) > _LONG_BYTES:
            return asyncio.to_thread(self._answer, request)
        return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        rows = self._rows(request)
        if self._selected:
            return self._answer_selected(rows, request.accept)
        scores = self._scorer.score(rows)
        if request.accept in ("", "*/*", arrays.CSV):
            separator = "\n" if self._one_per_line else ","
            return Reply(separator.join(_text(row) for row in scores.tolist()).encode(), "text/csv; charset=utf-8")
        if request.accept == RECORDIO:
            return _records([{"score": row} for row in scores.tolist()])
        if request.accept == arrays.JSON:
            return Reply(arrays.encode_json({"predictions": [{"score": row} for row in scores.tolist()]}))
        if request.accept == arrays.JSON_LINES:
            return Reply(
                b"".join(arrays.encode_json({"score": row}) + b"\n" for row in scores.tolist()), arrays.JSON_LINES
            )
        raise RequestError(
            406, f"cannot answer as {request.accept}: text/csv, {arrays.JSON}, {arrays.JSON_LINES} or {RECORDIO}"
        )

    def _rows(self, request: Request) -> np.ndarray:
        """Return [n, d] float32, NaN where a value is missing."""
        kind = request.content_type or arrays.CSV
        if not request.body.strip():
            raise RequestError(400, "the body is empty")
        try:
            rows = self._decoded(kind, request.body)
        except RequestError:
            raise
        except Exception as problem:
            raise RequestError(400, f"the body is not {kind}: {problem}") from problem
        width = self._scorer.features
        if rows.ndim != 2 or rows.shape[1] != width:
            raise RequestError(400, f"the model has {width} features, a row of the body has {rows.shape[-1]}")
        return rows

    def _decoded(self, kind: str, body: bytes) -> np.ndarray:
        width = self._scorer.features
        if kind == arrays.CSV:
            return tables.csv(body)
        if kind in _LIBSVM:
            return tables.libsvm(_with_labels(body)).dense(width)
        if kind == RECORDIO:
            from containers.xgboost.data import features_of

            found = features_of(recordio.records(body))
            return found["sparse"].dense(width) if "sparse" in found else np.asarray(found["dense"])
        if kind == arrays.JSON:
            document = arrays.decode_json(body)
            instances = document["instances"] if isinstance(document, dict) else document
        elif kind == arrays.JSON_LINES:
            instances = arrays.decode_lines(body)
        else:
            raise RequestError(
                415, f"cannot read {kind}: text/csv, text/libsvm, {arrays.JSON}, {arrays.JSON_LINES} or {RECORDIO}"
            )
        return np.stack([_instance(item, width) for item in instances])

    def _answer_selected(self, rows: np.ndarray, accept: str) -> Reply:
        content = self._scorer.content(rows)
        # What the objective has no notion of is NaN, as in the real container.
        records = [
            {name: content[name][row] if name in content else None for name in self._selected}
            for row in range(len(rows))
        ]
        if accept in ("", "*/*", arrays.CSV):
            lines = (",".join(_field(value) for value in record.values()) for record in records)
            return Reply("\n".join(lines).encode(), "text/csv; charset=utf-8")
        if accept == arrays.JSON:
            return Reply(arrays.encode_json({"predictions": records}))
        if accept == arrays.JSON_LINES:
            return Reply(b"".join(arrays.encode_json(record) + b"\n" for record in records), arrays.JSON_LINES)
        if accept == RECORDIO:
            return _records(records)
        raise RequestError(406, f"cannot answer as {accept}")


def _instance(item: Any, width: int) -> np.ndarray:
    """Return one row of `{"features": [..]}`, `{"data": {"features": {keys, values}}}` or a bare list."""
    if isinstance(item, dict):
        item = item.get("data", item)
        item = item["features"]
    if not isinstance(item, dict):
        return np.asarray(item, np.float32)
    values = np.asarray(item["values"], np.float32)
    if "keys" not in item:
        return values
    row = np.full(width, np.nan, np.float32)
    row[np.asarray(item["keys"], np.int64)] = values
    return row


def _with_labels(body: bytes) -> bytes:
    """Put a label before rows that begin with a pair: for predictions it may be left out."""
    lines = (line.split(None, 1) for line in body.splitlines())
    return b"\n".join(b" ".join([b"0", *line] if b":" in line[0] else line) for line in lines if line)


def _text(row: Any) -> str:
    return ",".join(map(str, row)) if isinstance(row, list) else str(row)


def _field(value: Any) -> str:
    if value is None:
        return "nan"
    return f'"[{", ".join(map(str, value))}]"' if isinstance(value, list) else str(value)


def _records(rows: list[dict[str, Any]]) -> Reply:
    """Answer as records whose labels carry the values by name."""
    payloads = (
        recordio.encode_labels(
            {
                name: np.atleast_1d(np.asarray(np.nan if value is None else value, np.float32))
                for name, value in row.items()
            }
        )
        for row in rows
    )
    return Reply(recordio.framed(payloads), RECORDIO)
