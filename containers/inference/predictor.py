"""Requests to feeds, outputs to answers, for any ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from containers.inference.batching import Batcher
from containers.inference.model import Model, find
from containers.toolkit import arrays
from containers.toolkit.serving import Reply, Request, RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    import numpy as np

_TYPES = (arrays.JSON, arrays.JSON_LINES, arrays.CSV, arrays.NPY, arrays.RAW)


def create(directory: Path) -> OnnxPredictor:
    """Load the directory's ONNX model. Raises FileNotFoundError where there is none."""
    path = find(directory)
    if path is None:
        raise FileNotFoundError(f"no .onnx file in {directory}")
    return OnnxPredictor(Model(path))


class OnnxPredictor:
    """One model behind the front.

    JSON bodies: `{"instances": [row, ...]}` (answer `{"predictions": [...]}`), `{"inputs": {name: tensor}}` or `{"inputs": tensor}`
    (answer `{"outputs": {name: tensor}}`), a bare list of rows (a bare list back). With several inputs a row is an object.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batcher = Batcher(model)

    def invoke(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer at once when the model is quick, else when its turn has come."""
        feeds, form = self._decoded(request)
        outputs = self._batcher.run_now(feeds)
        if outputs is not None:
            return self._encoded(outputs, request.accept, form)
        return self._later(feeds, request.accept, form)

    async def _later(self, feeds: dict[str, np.ndarray], accept: str, form: str) -> Reply:
        return self._encoded(await self._batcher.run(feeds), accept, form)

    def _decoded(self, request: Request) -> tuple[dict[str, np.ndarray], str]:
        kind = request.content_type
        if kind in ("", arrays.JSON):
            return self._from_json(arrays.decode_json(request.body))
        if kind in (arrays.JSON_LINES, "application/x-jsonlines", "application/jsonl"):
            return self._from_rows(arrays.decode_lines(request.body)), "rows"
        if kind == arrays.CSV:
            return self._single(arrays.decode_csv(request.body)), "rows"
        if kind == arrays.NPY:
            return self._single(arrays.decode_npy(request.body)), "rows"
        if kind == arrays.RAW:
            return self._single(arrays.decode_raw(request, self._model.inputs[0].dtype.name)), "rows"
        raise RequestError(415, f"cannot read {kind}: {', '.join(_TYPES)}")

    def _from_json(self, document: Any) -> tuple[dict[str, np.ndarray], str]:
        if isinstance(document, list):
            return self._from_rows(document), "bare"
        if isinstance(document, dict) and "instances" in document:
            return self._from_rows(document["instances"]), "rows"
        if isinstance(document, dict) and "inputs" in document:
            inputs = document["inputs"]
            return (self._named(inputs) if isinstance(inputs, dict) else self._single(inputs)), "outputs"
        if isinstance(document, dict) and document.keys() >= {i.name for i in self._model.inputs}:
            return self._named(document), "outputs"
        raise RequestError(400, 'the JSON body has neither "instances" nor "inputs" and is not a list of rows')

    def _from_rows(self, rows: Any) -> dict[str, np.ndarray]:
        if not isinstance(rows, list) or not rows:
            raise RequestError(400, "the list of rows is empty")
        if isinstance(rows[0], dict):
            names = [i.name for i in self._model.inputs]
            key = "features" if len(names) == 1 and names[0] not in rows[0] else None
            try:
                columns = {name: [row[key or name] for row in rows] for name in names}
            except (KeyError, TypeError) as problem:
                raise RequestError(400, f"every row needs the inputs {', '.join(names)}") from problem
            return self._named(columns)
        return self._single(rows)

    def _single(self, value: Any) -> dict[str, np.ndarray]:
        if len(self._model.inputs) != 1:
            names = ", ".join(i.name for i in self._model.inputs)
            raise RequestError(400, f'the model has several inputs: name them as {{"inputs": ...}}: {names}')
        target = self._model.inputs[0]
        return {target.name: self._model.array(target, value)}

    def _named(self, values: dict[str, Any]) -> dict[str, np.ndarray]:
        missing = [i.name for i in self._model.inputs if i.name not in values]
        if missing:
            raise RequestError(400, f"missing inputs: {', '.join(missing)}")
        return {i.name: self._model.array(i, values[i.name]) for i in self._model.inputs}

    def _encoded(self, outputs: list[Any], accept: str, form: str) -> Reply:
        named = dict(zip(self._model.outputs, outputs, strict=True))
        if form == "outputs" and accept in ("", "*/*", arrays.JSON):
            return Reply(arrays.encode_json({"outputs": named}))
        return arrays.encode(named, accept, None if form == "bare" else "predictions")
