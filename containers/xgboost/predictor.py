"""Serving the built-in algorithm as the open container does, by release; or the user's handlers (contract: training.md §12).

Facts (names, statuses, sentences' beginnings): aws/sagemaker-xgboost-container, `algorithm_mode`, at each release's branch.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import arrays, handlers, recordio, tables
from containers.toolkit.command_line import ClientError
from containers.toolkit.serving import Predictor, Reply, Request, RequestError
from containers.xgboost import selectable
from containers.xgboost.data import CSV, LIBSVM, RECORDIO, SHORT, content_type_of, features_of
from containers.xgboost.release import release

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from containers.xgboost.scorers import Scorer

ACCEPTS = [arrays.JSON, arrays.JSON_LINES, RECORDIO, CSV]
ROWS_AS_LINES, SELECTS = (1, 2, 2), (1, 0, 0)
"""First releases that answer one row a line and hear Accept; that know SAGEMAKER_INFERENCE_OUTPUT."""
TRANSFORMS = (1, 0, 1)
"""First release that knows `transform_fn`."""
_LONG_BYTES = 2**16
_LIMIT_BYTES, _EARLY_LIMIT_BYTES = "6291456", 20 * 1024**2


def create(directory: Path) -> Predictor:
    """Load the user's handlers, or the model for the built-in algorithm's protocol."""
    from containers.xgboost import scorers

    module = handlers.user_module(directory)
    if module is None:
        return XGBoostPredictor(scorers.load(directory))
    defaults = handlers.Defaults(
        model_fn=handlers.no_model,
        input_fn=scorers.default_input,
        predict_fn=lambda data, model: model.predict(data, validate_features=False),
        output_fn=handlers.encode_rows,
        flask=True,
        transforms=release() >= TRANSFORMS,
    )
    return handlers.HandlerPredictor(directory, defaults, module)


class XGBoostPredictor:
    """CSV, libsvm and recordio-protobuf in; CSV (default) or JSON out, all four kinds with selected content."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._release = release()
        self._keys = None
        if self._release >= SELECTS and "SAGEMAKER_INFERENCE_OUTPUT" in os.environ:
            self._keys = os.environ["SAGEMAKER_INFERENCE_OUTPUT"].replace(" ", "").lower().split(",")
        self._batch = bool(os.environ.get("SAGEMAKER_BATCH"))
        self._limit = int(os.environ.get("MAX_CONTENT_LENGTH", _LIMIT_BYTES))
        if self._release < ROWS_AS_LINES:
            self._limit = min(self._limit, _EARLY_LIMIT_BYTES)

    def execution_parameters(self) -> dict[str, Any]:
        """Return what batch transform asks for."""
        return {
            "MaxConcurrentTransforms": os.cpu_count() or 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": int(self._limit / 1024**2),
        }

    def invoke(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer at once, since a booster scores a row in microseconds; a long body goes to a thread."""
        if len(request.body) > _LONG_BYTES:
            return asyncio.to_thread(self._answer, request)
        return self._answer(request)

    def _answer(self, request: Request) -> Reply:
        if len(request.body) > self._limit:
            raise RequestError(413, "The data value transmitted exceeds the capacity limit.")
        if not request.body:
            return Reply(b"", "text/html; charset=utf-8", 204)
        kind, given = decoded(request)
        if self._scorer.pickled:
            check_width(kind, given.shape[1], self._scorer.features)
        rows = fitted(given, self._scorer.features)
        try:
            scores = self._scorer.score(rows)
        except Exception as problem:
            raise RequestError(400, f"Unable to evaluate payload provided: {problem}") from problem
        if self._release < ROWS_AS_LINES and self._keys is None:
            separator, end = ("\n", "\n") if self._batch else (",", "")
            return _csv(separator.join(map(str, scores.tolist())) + end)
        accept = accepted(request)
        if self._keys is not None:
            return selectable.answer(scores, self._keys, accept, self._scorer, batch=self._batch)
        return self._plain(scores, accept)

    def _plain(self, scores: np.ndarray, accept: str) -> Reply:
        if self._batch:
            return Reply(("\n".join(map(str, scores.tolist())) + "\n").encode(), _mimetype(accept))
        if accept == arrays.JSON:
            return Reply(json.dumps({"predictions": [{"score": row} for row in scores.tolist()]}).encode())
        if accept == CSV:
            rows = scores.reshape(len(scores), -1).tolist()
            return _csv("".join(",".join(map(str, row)) + "\n" for row in rows))
        # The real container lists these two and has an encoder for neither, unless content is selected.
        raise RequestError(500, f"Content type {accept} is not supported by this framework.")


def accepted(request: Request) -> str:
    """Return the type to answer in. Raises RequestError 406; as in the container, a list of types is none of them."""
    given = request.headers.get("accept", request.accept).partition(";")[0].strip()
    if given in ("", "*/*"):
        return os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or CSV
    if given.lower() not in ACCEPTS:
        raise RequestError(406, f"Accept type {given} is not supported. Please use supported accept types: {ACCEPTS}.")
    return given.lower()


def decoded(request: Request) -> tuple[str, np.ndarray]:
    """Return the content type and [n, d] float32, NaN where a value is missing. Raises RequestError 415 for whatever cannot be read."""
    header = request.headers.get("content-type") or request.content_type
    try:
        kind = content_type_of(header or None)
    except ClientError as problem:
        raise RequestError(415, str(problem)) from problem
    try:
        if kind == CSV:
            return kind, tables.csv(request.body.strip())
        if kind == LIBSVM:
            return kind, _libsvm(request.body)
        if kind == RECORDIO:
            features = features_of(recordio.records(request.body))
            return kind, features["sparse"].dense() if "sparse" in features else np.asarray(features["dense"])
    except Exception as problem:
        name = SHORT[kind]
        raise RequestError(
            415,
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n {type(problem)}\n {problem}",
        ) from problem
    raise RequestError(415, f"Content-type {header} is not supported.")


def check_width(kind: str, columns: int, features: int) -> None:
    """Raise RequestError 400 for a row that a pickled model (images up to 1.2-2, or the user's own) does not take."""
    if kind == LIBSVM and columns > features + 1:
        relation = "is larger than"
    elif kind != LIBSVM and columns not in (features, features - 1):
        relation = "is not consistent with"
    else:
        return
    raise RequestError(
        400,
        f"Unable to evaluate payload provided: Feature size of {SHORT[kind]} inference data {columns} {relation} "
        f"feature size of trained model {features}.",
    )


def fitted(rows: np.ndarray, width: int) -> np.ndarray:
    """Return the rows with the model's columns: what is not sent is missing. Raises RequestError 400 for too many."""
    given = rows.shape[1]
    if given > width:
        raise RequestError(
            400,
            "Unable to evaluate payload provided: Number of columns in data must equal to the trained model: "
            f"the model has {width} features, a row of the body has {given}",
        )
    if given == width:
        return rows
    return np.pad(rows, ((0, 0), (0, width - given)), constant_values=np.nan)


def _libsvm(body: bytes) -> np.ndarray:
    """Read `column:value` pairs; whatever has no colon, a label too, counts for nothing. An empty line is a row."""
    rows = [[item.split(":")[:2] for item in line.split() if ":" in item] for line in body.strip().decode().split("\n")]
    pairs = [(number, int(column), float(value)) for number, row in enumerate(rows) for column, value in row]
    if not pairs:
        raise ValueError("no column:value pair")
    columns = max(pair[1] for pair in pairs) + 1
    if columns > 2**20 or min(pair[1] for pair in pairs) < 0:
        raise ValueError(f"column {columns - 1} is out of range")
    table = np.full((pairs[-1][0] + 1, columns), np.nan, np.float32)
    for number, column, value in pairs:
        table[number, column] = value
    return table


def _csv(text: str) -> Reply:
    return Reply(text.encode(), _mimetype(CSV))


def _mimetype(accept: str) -> str:
    return f"{accept}; charset=utf-8" if accept.startswith("text/") else accept
