"""Request bodies to arrays and arrays to answers, for models that take tensors. Content types: see `decode` and `encode`."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from containers.toolkit import tables
from containers.toolkit.serving import Reply, Request, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON, JSON_LINES, CSV, NPY, RAW = (
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/x-npy",
    "application/octet-stream",
)
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def decode_json(body: bytes) -> Any:
    """Parse JSON; NaN and Infinity are let through as Python writes them. Raises RequestError 400."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        try:
            return json.loads(body)
        except ValueError:
            raise RequestError(400, f"the body is not JSON: {problem}") from problem


def decode_lines(body: bytes) -> list[Any]:
    """Parse JSON Lines. Raises RequestError 400."""
    return [decode_json(line) for line in body.splitlines() if line.strip()]


def decode_csv(body: bytes) -> np.ndarray:
    """Return [n, d] float32. Raises RequestError 400."""
    try:
        return tables.csv(body)
    except (ValueError, UnicodeDecodeError) as problem:
        raise RequestError(400, f"the body is not numeric CSV: {problem}") from problem


def decode_npy(body: bytes) -> np.ndarray:
    """Return the array of a .npy file; pickled objects are refused. Raises RequestError 400."""
    try:
        return np.load(io.BytesIO(body), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError, OSError) as problem:
        raise RequestError(400, f"the body is not a .npy array: {problem}") from problem


def decode_raw(request: Request, dtype: str | None = None) -> np.ndarray:
    """Return the array whose bytes the body is, little-endian, row by row.

    `dtype` and `shape` ("1,3,224,224") are parameters of the content type or headers `x-tensor-dtype`, `x-tensor-shape`.
    Raises RequestError 400.
    """
    name = request.parameters.get("dtype") or request.headers.get("x-tensor-dtype") or dtype or "float32"
    shape = request.parameters.get("shape") or request.headers.get("x-tensor-shape")
    if not shape:
        raise RequestError(400, "raw tensors need a shape: application/octet-stream; dtype=float32; shape=1,4")
    try:
        kind = np.dtype(name).newbyteorder("<")
        if kind.kind not in "biuf":
            raise RequestError(400, f"a raw tensor cannot have the type {name}")
        return np.frombuffer(request.body, kind).reshape(
            [int(size) for size in shape.strip("()[]").split(",") if size.strip()]
        )
    except (TypeError, ValueError) as problem:
        raise RequestError(400, f"the body does not fit dtype {name} and shape {shape}: {problem}") from problem


def encode_json(value: Any) -> bytes:
    """Return JSON; arrays become nested lists, and NaN becomes null."""
    return orjson.dumps(value, option=_OPTIONS, default=_plain)


def encode(outputs: Mapping[str, np.ndarray], accept: str, wrap: str | None = "predictions") -> Reply:
    """Answer named outputs, each [n, ...], in the type that was asked for; JSON when any will do.

    JSON: a list of rows, in an object under `wrap` unless that is None; a row is the value of a lone output, else an
    object of all. JSON Lines: a row a line. CSV: a row a line, the outputs' columns side by side. npy and raw: a lone output, or the
    first; raw names its dtype and shape in the content type. Raises RequestError 406.
    """
    if accept in ("", "*/*", JSON, "application/*"):
        rows = _rows(outputs)
        return Reply(encode_json(rows if wrap is None else {wrap: rows}))
    if accept in (JSON_LINES, "application/x-jsonlines", "application/jsonl"):
        return Reply(b"".join(encode_json(row) + b"\n" for row in _list(_rows(outputs))), JSON_LINES)
    if accept == CSV:
        return Reply(_csv(outputs), "text/csv; charset=utf-8")
    first = next(iter(outputs.values()))
    if accept == NPY:
        buffer = io.BytesIO()
        np.save(buffer, first, allow_pickle=False)
        return Reply(buffer.getvalue(), NPY)
    if accept == RAW:
        shape = ",".join(str(size) for size in first.shape)
        return Reply(np.ascontiguousarray(first).tobytes(), f"{RAW}; dtype={first.dtype.name}; shape={shape}")
    raise RequestError(406, f"cannot answer as {accept}: {JSON}, {JSON_LINES}, {CSV}, {NPY} or {RAW}")


def _rows(outputs: Mapping[str, np.ndarray]) -> Any:
    if len(outputs) == 1:
        return _json_ready(next(iter(outputs.values())))
    columns = [_list(_json_ready(output)) for output in outputs.values()]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _list(rows: Any) -> list[Any]:
    return rows.tolist() if isinstance(rows, np.ndarray) else list(rows)


def _json_ready(array: Any) -> Any:
    """Return the array itself where orjson takes it, else lists."""
    if (
        isinstance(array, np.ndarray)
        and array.dtype.kind in "biuf"
        and array.dtype.itemsize > 1
        and array.flags.c_contiguous
    ):
        return array if array.dtype != np.float16 else array.astype(np.float32)
    return array.tolist() if isinstance(array, np.ndarray) else array


def _csv(outputs: Mapping[str, np.ndarray]) -> bytes:
    columns = [np.asarray(output).reshape(len(output), -1) for output in outputs.values()]
    lines = (
        ",".join(str(value) for column in columns for value in column[row].tolist()) for row in range(len(columns[0]))
    )
    return "\n".join(lines).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")
