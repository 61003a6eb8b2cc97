"""RecordIO frames and the protobuf message `aialgs.data.Record` that they carry (contract: training.md §5, §12).

Decoded by hand: three nested messages do not earn a compiler, and a job starts without importing protobuf.
Field numbers: Record.features 1, Record.label 2 (both maps: key 1, value 2); Value.float32_tensor 2, float64_tensor 3,
int32_tensor 7; tensor.values 1, keys 2, shape 3 (packed).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAGIC = 0xCED7230A
_VALUE_TYPES: dict[int, np.dtype] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Tensor:
    """`values`: [n]; `keys`: [n] column numbers when sparse, else None; `columns`: width of a sparse row, else None."""

    values: np.ndarray
    keys: np.ndarray | None = None
    columns: int | None = None


@dataclass(frozen=True)
class Record:
    """One example: features, and its label where it has one."""

    features: Tensor
    label: np.ndarray | None = None


def frames(data: bytes) -> Iterator[bytes]:
    """Yield the payload of each frame. Raises ValueError where a frame is cut off or does not begin with the magic."""
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ValueError("RecordIO: the data ends inside a frame's head")
        magic, length = struct.unpack_from("<II", data, position)
        if magic != MAGIC:
            raise ValueError(f"RecordIO: no frame begins at byte {position}")
        start = position + 8
        if start + length > len(data):
            raise ValueError("RecordIO: the data ends inside a frame")
        yield data[start : start + length]
        position = start + length + -length % 4


def framed(payloads: Iterable[bytes]) -> bytes:
    """Return the payloads as frames, each padded to four bytes."""
    return b"".join(struct.pack("<II", MAGIC, len(p)) + p + bytes(-len(p) % 4) for p in payloads)


def records(data: bytes) -> list[Record]:
    """Decode framed records. Raises ValueError on malformed data."""
    return [decode(payload) for payload in frames(data)]


def decode(payload: bytes) -> Record:
    """Decode one message. The entry named `values` is taken, or else the only one there is."""
    maps: dict[int, dict[str, bytes]] = {1: {}, 2: {}}
    for field, value in _fields(payload):
        if field in maps and isinstance(value, bytes):
            entry = dict(_fields(value))
            maps[field][bytes(entry.get(1, b"")).decode()] = bytes(entry.get(2, b""))
    features, label = (m.get("values", next(iter(m.values()), None)) for m in (maps[1], maps[2]))
    if features is None:
        raise ValueError("a record has no features")
    return Record(_tensor(features), None if label is None else _tensor(label).values)


def encode(
    values: np.ndarray, label: np.ndarray | None = None, keys: np.ndarray | None = None, columns: int = 0
) -> bytes:
    """Encode one message with float32 tensors; `keys` and `columns` make the features sparse."""
    message = _block(1, _block(1, b"values") + _block(2, _encoded_tensor(values, keys, columns)))
    if label is not None:
        message += _block(2, _block(1, b"values") + _block(2, _encoded_tensor(label, None, 0)))
    return message


def encode_labels(labels: Mapping[str, np.ndarray]) -> bytes:
    """Encode one message without features whose label map carries the named values: a prediction."""
    return b"".join(
        _block(2, _block(1, name.encode()) + _block(2, _encoded_tensor(v, None, 0))) for name, v in labels.items()
    )


def _tensor(value: bytes) -> Tensor:
    for field, body in _fields(value):
        if field in _VALUE_TYPES and isinstance(body, bytes):
            return _tensor_of(body, _VALUE_TYPES[field])
    raise ValueError("a record's value is not a float32, float64 or int32 tensor")


def _tensor_of(body: bytes, dtype: np.dtype) -> Tensor:
    values: list[np.ndarray] = []
    numbers: dict[int, list[int]] = {2: [], 3: []}
    for field, part in _fields(body):
        if field == 1:
            values.append(_values(part, dtype))
        elif field in numbers:
            numbers[field].extend(_varints(part) if isinstance(part, bytes) else [part])
    joined = np.concatenate(values) if values else np.empty(0, dtype)
    if not numbers[2]:
        # Keys without entries and a shape: a sparse row of nothing.
        return (
            Tensor(joined, columns=None)
            if joined.size or not numbers[3]
            else Tensor(joined, np.empty(0, np.int64), numbers[3][-1])
        )
    return Tensor(joined, np.asarray(numbers[2], np.int64), numbers[3][-1] if numbers[3] else None)


def _values(part: bytes | int, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "i":
        numbers = _varints(part) if isinstance(part, bytes) else [part]
        return np.asarray(numbers, np.uint64).astype(np.int64).astype(np.int32)
    raw = part if isinstance(part, bytes) else part.to_bytes(dtype.itemsize, "little")
    return np.frombuffer(raw, dtype)


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    position = 0
    try:
        while position < len(data):
            tag, position = _varint(data, position)
            field, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                number, position = _varint(data, position)
                yield field, number
            elif kind == _BYTES:
                length, position = _varint(data, position)
                if position + length > len(data):
                    raise ValueError("protobuf: the data ends inside a field")
                yield field, data[position : position + length]
                position += length
            elif kind in (_FIXED32, _FIXED64):
                width = 4 if kind == _FIXED32 else 8
                yield field, int.from_bytes(data[position : position + width], "little")
                position += width
            else:
                raise ValueError(f"protobuf: wire type {kind} is not used by Record")
    except IndexError as error:
        raise ValueError("protobuf: the data ends inside a number") from error


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _varints(data: bytes) -> list[int]:
    numbers, position = [], 0
    while position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def _encoded_varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _block(field: int, body: bytes) -> bytes:
    return _encoded_varint(field << 3 | _BYTES) + _encoded_varint(len(body)) + body


def _encoded_tensor(values: np.ndarray, keys: np.ndarray | None, columns: int) -> bytes:
    body = _block(1, np.asarray(values, "<f4").tobytes())
    if keys is not None:
        body += _block(2, b"".join(_encoded_varint(int(key)) for key in keys)) + _block(3, _encoded_varint(columns))
    return _block(2, body)
