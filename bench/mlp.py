"""The model that the endpoint benches ask: an ONNX MLP 20-64-64-1, written as protobuf bytes by hand.

Field numbers are those of onnx.proto3 (IR version 8, opset 13). Its weights are random, and always the same ones.
"""

from __future__ import annotations

import array
import itertools
import json
import random

SIZES = (20, 64, 64, 1)
FLOAT = 1
SEED = 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _tensor(name: str, shape: tuple[int, ...], source: random.Random) -> bytes:
    count = 1
    for size in shape:
        count *= size
    values = array.array("f", (source.uniform(-0.3, 0.3) for _ in range(count)))
    dims = b"".join(_field(1, size) for size in shape)
    return dims + _field(2, FLOAT) + _field(8, name) + _field(9, values.tobytes())


def _node(kind: str, inputs: tuple[str, ...], output: str) -> bytes:
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)


def _value(name: str, columns: int) -> bytes:
    shape = _field(1, _field(2, "n")) + _field(1, _field(1, columns))
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, shape)))


def model() -> bytes:
    """Return the `.onnx` file: `x` [n, 20] float32 to `y` [n, 1]."""
    source = random.Random(SEED)
    graph, last = b"", "x"
    tensors = b""
    for layer, (wide, narrow) in enumerate(itertools.pairwise(SIZES)):
        final = layer == len(SIZES) - 2
        tensors += _field(5, _tensor(f"w{layer}", (wide, narrow), source)) + _field(
            5, _tensor(f"b{layer}", (narrow,), source)
        )
        out = "y" if final else f"h{layer}"
        graph += _field(1, _node("Gemm", (last, f"w{layer}", f"b{layer}"), out))
        last = out
        if not final:
            graph += _field(1, _node("Relu", (out,), f"r{layer}"))
            last = f"r{layer}"
    graph += _field(2, "mlp") + tensors + _field(11, _value("x", SIZES[0])) + _field(12, _value("y", SIZES[-1]))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))


def row() -> list[float]:
    """Return one row of input."""
    source = random.Random(SEED + 1)
    return [round(source.uniform(-1, 1), 4) for _ in range(SIZES[0])]


def question() -> bytes:
    """Return a JSON request for one row."""
    return json.dumps({"instances": [row()]}).encode()
