"""libsvm files for training: the check of a file's head that the open container makes, and the library's own leniency after it.

Facts: `_get_num_valid_libsvm_features` of aws/sagemaker-xgboost-container (same at every release); dmlc-core `src/data/libsvm_parser.h`.
"""

from __future__ import annotations

import contextlib
import re

import numpy as np

from containers.toolkit import tables
from containers.toolkit.command_line import ClientError

_SNIPPET = 50
_PAIR = re.compile(
    r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?::([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?nan))?"
)
_GROUP = re.compile(r"\s*qid:(\d+)")


def rows(body: bytes) -> tables.SparseRows:
    """Return the file's rows: at once where all are well-formed, else one by one. Raises ValueError."""
    with contextlib.suppress(ValueError):
        return tables.libsvm(body)
    return lenient(body)


def check_head(name: str, body: bytes) -> None:
    """Raise ClientError unless all lines up to the first with two features are as they should: one blank between fields."""
    for line in body.decode("utf-8", "ignore").replace("\r\n", "\n").splitlines(keepends=True):
        features = _features(line)
        if features is None:
            raise ClientError(
                f"First line '{line[:_SNIPPET]}...' of file '{name.rsplit('/', 1)[-1]}' is not 'LIBSVM' format. "
                "Please ensure the file is in 'LIBSVM' format."
            )
        if features > 1:
            return


def _features(line: str) -> int | None:
    """Return how many features a line has, None where it is none: a label, its weight after a colon, and pairs."""
    label, *fields = line.split(" ")
    parts = label.split(":")
    try:
        [float(part) for part in parts]
    except ValueError:
        return None
    if len(parts) > 2 or any(":" not in field for field in fields):
        return None
    return len(fields) if not fields or fields[0].count(":") == 1 else None


def lenient(body: bytes) -> tables.SparseRows:
    """Read as the library does: whatever is no number parts the numbers; an index without a value counts as 1.

    A line without any number is none. Raises ValueError where only some lines have weights, groups, or values.
    """
    labels, weights, groups, indptr = [], [], [], [0]
    indices: list[int] = []
    values: list[float] = []
    for raw in body.decode("utf-8", "replace").splitlines():
        line = raw.split("#", 1)[0]
        label = _PAIR.search(line)
        if label is None:
            continue
        labels.append(float(label[1]))
        weights += [float(label[2])] if label[2] else []
        group = _GROUP.match(line, label.end())
        groups += [int(group[1])] if group else []
        for pair in _PAIR.finditer(line, group.end() if group else label.end()):
            indices.append(int(float(pair[1])))
            values += [float(pair[2])] if pair[2] else []
        indptr.append(len(indices))
    if not labels:
        raise ValueError("the libsvm data is empty")
    for what, given, whole in (
        ("weight", weights, labels), ("group", groups, labels), ("value", values, indices),
    ):  # fmt: skip
        if given and len(given) != len(whole):
            raise ValueError(f"not libsvm data: some have a {what} and others do not")
    if min(indices, default=0) < 0:
        raise ValueError("not libsvm data: a column number is negative")
    return tables.SparseRows(
        np.asarray(values or [1.0] * len(indices), np.float32),
        np.asarray(indices, np.int64),
        np.asarray(indptr, np.int64),
        np.asarray(labels, np.float32),
        np.asarray(weights, np.float32) if weights else None,
        np.asarray(groups, np.int64) if groups else None,
    )
