"""An ONNX model in ONNX Runtime: its inputs and outputs, how long it takes, whether rows may be batched."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from containers.toolkit.serving import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ON_THE_LOOP_S = 200e-6
"""A model quicker than this runs on the event loop: a hop to a thread costs about as much (performance.md)."""
_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int8)": np.int8,
    "tensor(int16)": np.int16, "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64, "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}  # fmt: skip
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """A model input; `shape` has None where the size is free."""

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]


class Model:
    """A session. `run` may be called from any thread.

    `row_s`: seconds that one row takes, None where it could not be measured. `batches`: rows of several requests may be put together.
    """

    def __init__(self, path: Path) -> None:
        self._session = _session(path, threads=1)
        self.inputs = [
            Input(i.name, np.dtype(_TYPES[i.type]), tuple(size if isinstance(size, int) else None for size in i.shape))
            for i in self._session.get_inputs()
        ]
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.row_s = self._measured_row_s()
        if self.row_s is None or self.row_s >= ON_THE_LOOP_S:
            self._session = _session(path, threads=0)
            self.row_s = self._measured_row_s()
        self.batches = self._rows_are_independent()
        took = "unmeasured" if self.row_s is None else f"{self.row_s * 1e6:.0f} µs a row"
        _log.info("%s: %s, batching %s", path.name, took, "on" if self.batches else "off")

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs in their order. Raises RequestError 400 when the runtime refuses the input."""
        try:
            return self._session.run(None, dict(feeds))  # type: ignore[no-any-return]
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as problem:
            raise RequestError(400, f"the model refuses the input: {problem}") from problem

    def array(self, target: Input, value: Any) -> np.ndarray:
        """Return `value` as this input's array: its type, and its free dimensions where a single row was given flat."""
        try:
            array = np.asarray(value, target.dtype)
        except (TypeError, ValueError, OverflowError) as problem:
            raise RequestError(
                400, f"input {target.name} is not an array of {target.dtype.name}: {problem}"
            ) from problem
        rank = len(target.shape)
        if array.ndim == rank - 1 and rank and target.shape[0] in (None, 1):
            array = array[np.newaxis]
        elif array.ndim == 2 and rank > 2:
            array = _unflattened(target, array)
        fits = array.ndim == rank and all(
            want is None or want == got for want, got in zip(target.shape, array.shape, strict=True)
        )
        if not fits:
            raise RequestError(
                400, f"input {target.name} has shape {list(array.shape)}, the model takes {_shown(target.shape)}"
            )
        return array

    def _measured_row_s(self) -> float | None:
        """Time one row of zeros, the best of several runs; None when a free dimension other than the first is in the way."""
        feeds = self._zeros(1)
        if feeds is None:
            return None
        try:
            self._session.run(None, feeds)
            times = []
            for _ in range(5):
                started = time.perf_counter()
                self._session.run(None, feeds)
                times.append(time.perf_counter() - started)
        except Exception:  # noqa: BLE001 - a model may dislike zeros; then it is served unmeasured
            return None
        return min(times)

    def _rows_are_independent(self) -> bool:
        """Compare three rows at once with the same rows one by one: only if they agree may requests share a run."""
        one = self._zeros(1)
        if one is None or any(not i.shape or i.shape[0] is not None or i.dtype.kind != "f" for i in self.inputs):
            return False
        random = np.random.default_rng(0)
        rows = {name: random.random((3, *array.shape[1:])).astype(array.dtype) for name, array in one.items()}
        with contextlib.suppress(Exception):
            together = self._session.run(None, rows)
            singly = [
                self._session.run(None, {name: array[i : i + 1] for name, array in rows.items()}) for i in range(3)
            ]
            # Outputs that are lists of maps (ZipMap) have no rows to cut.
            return all(
                isinstance(whole, np.ndarray)
                and whole.ndim >= 1
                and whole.shape[0] == 3
                and _alike(whole, np.concatenate([part[place] for part in singly]))
                for place, whole in enumerate(together)
            )
        return False

    def _zeros(self, rows: int) -> dict[str, np.ndarray] | None:
        """Return inputs of `rows` rows where every other size is fixed and every type a number, else None."""
        feeds = {}
        for target in self.inputs:
            rest = [size for size in target.shape[1:] if size is not None]
            if len(rest) != max(0, len(target.shape) - 1) or target.dtype.kind == "O":
                return None
            feeds[target.name] = np.zeros([target.shape[0] or rows, *rest] if target.shape else [], target.dtype)
        return feeds


def find(directory: Path) -> Path | None:
    """Return the model to serve: `model.onnx`, or the only `.onnx` there is. Raises ValueError when several compete."""
    preferred = directory / "model.onnx"
    if preferred.is_file():
        return preferred
    models = sorted(path for path in directory.rglob("*.onnx") if not path.name.startswith("."))
    if len(models) > 1:
        raise ValueError(f"several ONNX models and none is model.onnx: {', '.join(path.name for path in models)}")
    return models[0] if models else None


def _session(path: Path, threads: int) -> Any:
    """Open the model; `threads` 0 uses all cores. CUDA first where the runtime has it and a device is there."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would take the cores from the event loop and from other jobs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    available = onnxruntime.get_available_providers()
    wanted = (
        ["CUDAExecutionProvider", "CPUExecutionProvider"]
        if os.environ.get("CUDA_VISIBLE_DEVICES") != ""
        else ["CPUExecutionProvider"]
    )
    session = onnxruntime.InferenceSession(str(path), options, providers=[p for p in wanted if p in available])
    if "CUDAExecutionProvider" in available:
        _log.info("providers: %s", ", ".join(session.get_providers()))
    return session


def _unflattened(target: Input, array: np.ndarray) -> np.ndarray:
    """Return rows of a CSV as the input's higher dimensions, where these are all fixed."""
    rest = [size for size in target.shape[1:] if size is not None]
    if len(rest) == len(target.shape) - 1 and array.shape[1] == int(np.prod(rest)):
        return array.reshape((-1, *rest))
    return array


def _alike(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype.kind == "f":
        return np.allclose(left, right, rtol=1e-4, atol=1e-5, equal_nan=True)
    return np.array_equal(left, right)


def _shown(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("n" if size is None else str(size) for size in shape) + "]"
