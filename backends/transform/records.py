"""Records of an object, payloads of records, and answers put together again. Streams: nothing holds a whole object.

Source: developer guide "Use Batch Transform" and shapes TransformInput, TransformOutput (2026-11): `Line` splits at line ends and knows no
quotes; a record longer than MaxPayloadInMB fails the object. RecordIO: MXNet's frames (magic 0xced7230a, 29 bits of length, padded to 4
bytes); TFRecord: length, its CRC, data, its CRC. Binary records are sent whole, frame and all, MultiRecord; SingleRecord sends what they hold.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from itertools import accumulate
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHUNK = 1 << 20
WINDOW = 64 << 10
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
    yield from _cut_where_lines_end(file, limit)
    rest = b""
    while piece := rest + file.read(limit - len(rest)):
        end = piece.rfind(b"\n") + 1
        if len(piece) < limit:  # the last one, whose last line need not end
            yield piece if end == len(piece) else piece + b"\n"
            return
        if end:
            yield piece[:end]
            rest = piece[end:]
        else:  # a line that is just as long as the limit
            _check_size(len(piece) + len(file.read(1).strip(b"\n")), limit)
            yield piece + b"\n"
            rest = b""


def _cut_where_lines_end(file: IO[bytes], limit: int) -> Iterator[bytes]:
    """Yield such pieces of a file as long as there is more, looking for the last line's end before a piece is read: it is copied once.

    The file is left where no line's end is near the limit, or its own end is.
    """
    window = min(WINDOW, limit)
    while isinstance(file, io.BufferedReader) and file.seekable():
        begin = file.tell()
        file.seek(begin + limit - window)
        last = file.read(window)
        end = last.rfind(b"\n") + 1
        file.seek(begin)
        if len(last) < window or not end:
            return
        yield file.read(limit - window + end)


def lines_of(piece: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines of a piece, as `line_blocks` yields them, and the body that sends just these."""
    lines = piece.removesuffix(b"\n").split(b"\n")
    if b"\r" not in piece and b"" not in lines:
        return lines, piece
    lines = _bare(lines)
    return lines, _body(lines)


def packed(
    blocks: Iterable[tuple[list[bytes], list[bytes]]], *, is_single: bool, limit: int
) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield, of blocks of lines as they were read and as they are sent, the lines of one request and its body."""
    read: list[bytes] = []
    sent: list[bytes] = []
    size = 0
    for lines, outs in blocks:
        _check_size(max(map(len, outs), default=0), limit)
        if is_single:
            yield from (([line], out) for line, out in zip(lines, outs, strict=True))
            continue
        ends = list(accumulate(len(out) + 1 for out in outs))
        begin = before = 0
        while begin < len(outs):
            end = bisect_right(ends, limit - size + before, begin)
            if end == begin and not sent:  # a line that is just as long as the limit
                end += 1
            read += lines[begin:end]
            sent += outs[begin:end]
            size += ends[end - 1] - before if end > begin else 0
            if end < len(outs):
                yield read, _body(sent)
                read, sent, size = [], [], 0
            begin, before = end, ends[end - 1] if end else 0
    if sent:
        yield read, _body(sent)


def _body(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


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
