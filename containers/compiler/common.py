"""What all converters share: what they return, how ONNX Runtime's predictions are compared with the original's, the report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit.command_line import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAMPLE_ROWS = 256
TOLERANCE = 1e-3
"""By how much of their range values may differ, and which share of labels: float32 moves what lies on a boundary."""


@dataclass(frozen=True)
class Converted:
    """An ONNX model with what it was made of: the artifact's file, what that is, inputs, and what the original predicts of them.

    Without a `sample` there is nothing to compare with: the model is the original.
    """

    model: bytes
    source: str
    kind: str
    sample: dict[str, np.ndarray] = field(default_factory=dict)
    expected: Sequence[np.ndarray] = ()


def session_of(model: bytes) -> Any:
    """Load a model into ONNX Runtime."""
    import onnxruntime

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def described(converted: Converted) -> dict[str, Any]:
    """Return what the report says of the model: its source, operator sets, inputs and outputs (null where a size is free)."""
    import onnx

    session = session_of(converted.model)
    graph = onnx.load_model_from_string(converted.model)
    return {
        "Source": converted.source,
        "Converted": converted.kind,
        "Model": "model.onnx",
        "Opsets": {opset.domain or "ai.onnx": opset.version for opset in graph.opset_import},
        "Inputs": {each.name: _described(each) for each in session.get_inputs()},
        "Outputs": {each.name: _described(each) for each in session.get_outputs()},
    }


def _described(value: Any) -> dict[str, Any]:
    return {"Type": value.type, "Shape": [size if isinstance(size, int) else None for size in value.shape or ()]}


def compare(converted: Converted) -> dict[str, Any]:
    """Return how the model's predictions compare with the original's. ClientError where they differ by more than TOLERANCE."""
    if not converted.sample:
        return {"Rows": 0, "Outputs": []}
    session = session_of(converted.model)
    given = session.run(None, converted.sample)
    names = [each.name for each in session.get_outputs()]
    if len(given) < len(converted.expected):
        raise ClientError(f"CompilationError: the ONNX model has {len(given)} outputs, not {len(converted.expected)}.")
    outputs = [
        {"Name": name, **difference(np.asarray(one), np.asarray(other))}
        for name, one, other in zip(names, given, converted.expected, strict=False)
    ]
    for output in outputs:
        if output.get("Relative", TOLERANCE) > TOLERANCE or output.get("DifferentLabels", 0.0) > 1 / SAMPLE_ROWS:
            raise ClientError(f"CompilationError: the ONNX model does not predict what the original does: {output}")
    return {"Rows": len(next(iter(converted.sample.values()))), "Tolerance": TOLERANCE, "Outputs": outputs}


def difference(given: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Return how two outputs differ: at most, and by which part of the range; of labels, which share. ClientError for other shapes."""
    if given.size != expected.size:
        raise ClientError(f"CompilationError: the ONNX model's output has shape {given.shape}, not {expected.shape}.")
    given = given.reshape(expected.shape)
    if expected.dtype.kind != "f":
        return {"DifferentLabels": float(np.mean(given != expected))}
    if np.any(np.isnan(given) != np.isnan(expected)):
        raise ClientError("CompilationError: the ONNX model's output is not a number elsewhere than the original's.")
    worst = float(np.max(np.abs(np.nan_to_num(given - expected)), initial=0.0))
    scale = float(np.max(np.abs(np.nan_to_num(expected)), initial=0.0)) or 1.0
    return {"MaxAbsoluteDifference": worst, "Relative": worst / scale}


def only_file(folder: Path, *suffixes: str) -> Path:
    """Return the one file of the artifact's top that ends so. ClientError for none or several."""
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and path.suffix in suffixes and path.name[0] != "."
    )
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise ClientError(
            f"InputConfiguration: one {' or '.join(suffixes)} file is expected in the artifact; found: {names}."
        )
    return files[0]


def shapes_of(text: str | None) -> dict[str, list[int]]:
    """Read DataInputConfig: shapes by input name, or a list of shapes (shape InputConfig). ClientError for others."""
    try:
        given = json.loads(text or "")
        named = given if isinstance(given, dict) else {f"input{number}": shape for number, shape in enumerate(given)}
        entries = {str(name): entry["shape"] if isinstance(entry, dict) else entry for name, entry in named.items()}
        shapes = {name: [_size(size) for size in entry] for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, RecursionError):
        shapes = {}
    if not shapes:
        raise ClientError("InputConfiguration: DataInputConfig must give the name and shape of each input, as JSON.")
    return shapes


def _size(value: Any) -> int:
    """Return a size of a shape. ValueError for what is none."""
    if type(value) is not int or value < 1:
        raise ValueError(value)
    return value
