"""Records of an object, payloads of records, and answers put together again. Streams: nothing holds a whole object.

Source: developer guide "Use Batch Transform" and shapes TransformInput, TransformOutput (2026-11): `Line` splits at line ends and knows no
quotes; a record longer than MaxPayloadInMB fails the object. RecordIO: MXNet's frames (magic 0xced7230a, 29 bits of length, padded to 4
bytes); TFRecord: length, its CRC, data, its CRC. Binary records are sent whole, frame and all, MultiRecord; SingleRecord sends what they hold.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHUNK = 1 << 20
RECORD_IO_MAGIC = 0xCED7230A
RECORD_IO_LENGTH = (1 << 29) - 1
LONGEST_LINE = 128 << 20
"""Bytes of a line before it is filtered: more than a request may have, and no more than the server can hold."""


class BadRecordError(ValueError):
    """A record that cannot be sent; the message is the reason."""


class Record(NamedTuple):
    """One record: `data` as MultiRecord sends it, and `bare` as SingleRecord does, without its frame."""

    data: bytes
    bare: bytes


def split(file: IO[bytes], split_type: str, limit: int) -> Iterator[Record]:
    """Yield the records of an object that is not split by lines. BadRecordError for one that is broken, or longer than `limit` bytes."""
    splitters: dict[str, Callable[[IO[bytes], int], Iterator[Record]]] = {
        "None": _whole,
        "RecordIO": _record_io,
        "TFRecord": _tf_records,
    }
    return splitters[split_type](file, limit)


def _whole(file: IO[bytes], limit: int) -> Iterator[Record]:
    data = file.read(limit + 1)
    _check(data, limit)
    yield Record(data, data)


def line_blocks(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield an object's lines, many at a time, without their ends; empty ones are none. BadRecordError for one that is endless."""
    rest: list[bytes] = []
    while chunk := file.read(CHUNK):
        first, *lines = chunk.split(b"\n")
        rest.append(first)
        _check_size(len(rest) * CHUNK, LONGEST_LINE)
        if lines:
            yield _bare([b"".join(rest), *lines[:-1]])
            rest = [lines[-1]]
    yield _bare([b"".join(rest)])


def _bare(lines: list[bytes]) -> list[bytes]:
    return [bare for line in lines if (bare := line.removesuffix(b"\r"))]


def cut_lines(file: IO[bytes], limit: int) -> Iterator[bytes]:
    """Yield an object in pieces of whole lines, as large as the limit allows. BadRecordError for a longer line."""
    rest = b""
    while piece := rest + file.read(limit - len(rest)):
        end = piece.rfind(b"\n") + 1
        if end:
            yield piece[:end]
            rest = piece[end:]
        else:  # the last line, or one that is just as long as the limit
            _check_size(len(piece) + len(b"" if len(piece) < limit else file.read(1).strip(b"\n")), limit)
            yield piece + b"\n"
            rest = b""


def packed(lines: Iterable[tuple[bytes, bytes]], *, is_single: bool, limit: int) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield, of lines as they were read and as they are sent, those of one request and its body."""
    read: list[bytes] = []
    sent: list[bytes] = []
    size = 0
    for line, out in lines:
        length = len(out) + 1
        _check_size(length - 1, limit)
        if sent and (is_single or size + length > limit):
            yield read, _body(sent, is_single=is_single)
            read, sent, size = [], [], 0
        read.append(line)
        sent.append(out)
        size += length
    if sent:
        yield read, _body(sent, is_single=is_single)


def _body(lines: list[bytes], *, is_single: bool) -> bytes:
    return lines[0] if is_single else b"\n".join(lines) + b"\n"


def _record_io(file: IO[bytes], limit: int) -> Iterator[Record]:
    while header := file.read(8):
        magic, length = struct.unpack("<II", header) if len(header) == 8 else (0, 0)
        if magic != RECORD_IO_MAGIC:
            raise BadRecordError("not a RecordIO file: a record does not begin with its magic number")
        size = length & RECORD_IO_LENGTH
        padded = size + (-size % 4)
        _check_size(padded + 8, limit)
        data = file.read(padded)
        if len(data) < padded:
            raise BadRecordError("the last RecordIO record is cut short")
        yield Record(header + data, data[:size])


def _tf_records(file: IO[bytes], limit: int) -> Iterator[Record]:
    while header := file.read(12):
        if len(header) < 12:
            raise BadRecordError("the last TFRecord is cut short")
        (size,) = struct.unpack("<Q", header[:8])
        _check_size(size + 16, limit)
        data = file.read(size + 4)
        if len(data) < size + 4:
            raise BadRecordError("the last TFRecord is cut short")
        yield Record(header + data, data[:size])


def _check(data: bytes, limit: int) -> None:
    _check_size(len(data), limit)


def _check_size(size: int, limit: int) -> None:
    if size > limit:  # Unverified: AWS's wording
        raise BadRecordError(f"a record is larger than the payload limit of {limit} bytes")


def payloads(records: Iterable[Record], *, is_single: bool, limit: int) -> Iterator[list[Record]]:
    """Yield what goes into one request each: one record, or as many as fit into the limit."""
    batch: list[Record] = []
    size = 0
    for record in records:
        length = len(record.bare if is_single else record.data)
        if batch and (is_single or size + length > limit):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch


def body_of(batch: Sequence[Record], *, is_single: bool) -> bytes:
    """Return the body of a request."""
    return batch[0].bare if is_single else b"".join(record.data for record in batch)


def assembled(answer: bytes, assemble_with: str) -> bytes:
    """Return an answer as it goes into the output object."""
    return answer + b"\n" if assemble_with == "Line" and not answer.endswith(b"\n") else answer
