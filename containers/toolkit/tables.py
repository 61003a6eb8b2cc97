"""Numeric tables in the text formats of the built-in algorithms: CSV and libsvm, parsed whole by numpy.

Used for training files and for request bodies alike, so both mean the same.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass

import numpy as np

_SHORT = 8192
_DELIMITERS = (",", ";", "\t", "|", " ")


@dataclass(frozen=True)
class SparseRows:
    """Rows in compressed form. `data` [k], `indices` [k], `indptr` [n+1], `labels` [n], `weights` and `qid` [n] or None."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None
    qid: np.ndarray | None = None

    def dense(self, columns: int | None = None) -> np.ndarray:
        """Return [n, columns] float32 with NaN where a row is silent: XGBoost takes both as missing."""
        width = columns or (int(self.indices.max()) + 1 if self.indices.size else 0)
        rows = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        if self.indices.size and int(self.indices.max()) >= width:
            raise ValueError(f"feature {int(self.indices.max())} is beyond the {width} features of the model")
        table = np.full((len(self.indptr) - 1, width), np.nan, np.float32)
        table[rows, self.indices] = self.data
        return table


def csv(text: bytes) -> np.ndarray:
    """Return [n, d] float32 of a CSV without header; an empty field is NaN. Raises ValueError naming what is wrong."""
    content = text.decode("utf-8-sig").strip("\r\n")
    if not content.strip():
        raise ValueError("the CSV is empty")
    first = content.split("\n", 1)[0].strip("\r\n")
    delimiter = max(_DELIMITERS, key=first.count)
    if not first.count(delimiter):
        delimiter = ","
    if len(content) < _SHORT:
        # The body of a request: numpy's reader costs more to set up than the row itself.
        with contextlib.suppress(ValueError):
            return np.asarray([[float(f) for f in line.split(delimiter)] for line in content.split("\n")], np.float32)
    try:
        return _loaded(content, delimiter)
    except ValueError as problem:
        if not _has_empty_fields(content, delimiter):
            raise ValueError(str(problem)) from problem
    filled = "\n".join(
        delimiter.join(field.strip() or "nan" for field in line.rstrip("\r").split(delimiter))
        for line in content.split("\n")
        if line.strip()
    )
    return _loaded(filled, delimiter)


def libsvm(text: bytes) -> SparseRows:
    """Parse `label[:weight] [qid:n] index:value ...` lines; `#` begins a comment. Raises ValueError.

    Column numbers are taken as they stand, as XGBoost does (a file that counts from 1 has an empty column 0).
    """
    lines = [line for line in (raw.split(b"#", 1)[0].strip() for raw in text.splitlines()) if line]
    if not lines:
        raise ValueError("the libsvm data is empty")
    qid = weights = None
    if b"qid:" in text:
        qid = np.asarray([int(_required(re.search(rb"\bqid:(\d+)", line), line).group(1)) for line in lines], np.int64)
        lines = [re.sub(rb"\s*\bqid:\d+", b"", line) for line in lines]
    heads = [line.split(None, 1)[0] for line in lines]
    if all(b":" in head for head in heads):
        weights = np.asarray([float(head.split(b":")[1]) for head in heads], np.float32)
        lines = [line.replace(b":" + head.split(b":")[1], b"", 1) for head, line in zip(heads, lines, strict=True)]
    pairs = np.asarray([line.count(b":") for line in lines], np.int64)
    try:
        flat = np.asarray(b" ".join(lines).replace(b":", b" ").split(), np.float64)
    except ValueError as problem:
        raise ValueError(f"not libsvm data: {problem}") from problem
    if flat.size != int((1 + 2 * pairs).sum()):
        raise ValueError(f"not libsvm data: {lines[0][:80]!r} is not a label and index:value pairs")
    starts = np.concatenate(([0], np.cumsum(1 + 2 * pairs)[:-1])).astype(np.int64)
    entries = np.delete(flat, starts).reshape(-1, 2)
    indices = entries[:, 0].astype(np.int64)
    if indices.size and indices.min() < 0:
        raise ValueError("not libsvm data: a column number is negative")
    indptr = np.concatenate(([0], np.cumsum(pairs)))
    return SparseRows(entries[:, 1].astype(np.float32), indices, indptr, flat[starts].astype(np.float32), weights, qid)


def _loaded(content: str, delimiter: str) -> np.ndarray:
    return np.loadtxt(
        io.StringIO(content),
        dtype=np.float32,
        delimiter=None if delimiter == " " else delimiter,
        ndmin=2,
        comments=None,
    )


def _has_empty_fields(content: str, delimiter: str) -> bool:
    return bool(re.search(rf"(^|{re.escape(delimiter)})[ \r]*({re.escape(delimiter)}|$)", content, re.MULTILINE))


def _required(match: re.Match[bytes] | None, line: bytes) -> re.Match[bytes]:
    if match is None:
        raise ValueError(f"some lines name a qid and this one does not: {line[:80]!r}")
    return match
