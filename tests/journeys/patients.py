"""The Wisconsin breast cancer data of examples/: 569 patients, label last (0 is malignant), split the same way always."""

from __future__ import annotations

import csv
import random
from functools import cache
from pathlib import Path

FILE = Path(__file__).parents[2] / "examples" / "data" / "breast_cancer.csv"
TEST_SHARE = 0.3


@cache
def split() -> tuple[list[list[str]], list[list[str]]]:
    """Return (train, test) rows, label first."""
    with FILE.open(encoding="utf-8") as file:
        rows = [[row[-1], *row[:-1]] for row in list(csv.reader(file))[1:]]
    random.Random(7).shuffle(rows)
    cut = int(len(rows) * TEST_SHARE)
    return rows[cut:], rows[:cut]


def as_csv(rows: list[list[str]]) -> str:
    """Write rows as CSV without a header."""
    return "\n".join(",".join(row) for row in rows)


def as_libsvm(rows: list[list[str]]) -> str:
    """Write rows as libsvm, columns counted from 0."""
    return "\n".join(" ".join([row[0], *(f"{n}:{value}" for n, value in enumerate(row[1:]))]) for row in rows)


def features(rows: list[list[str]]) -> list[list[float]]:
    """Return what a model is asked."""
    return [[float(value) for value in row[1:]] for row in rows]


def accuracy(scores: list[float], rows: list[list[str]]) -> float:
    """Return the share of patients whose score is on the right side of one half."""
    assert len(scores) == len(rows)
    return sum((score > 0.5) == (row[0] == "1") for score, row in zip(scores, rows, strict=True)) / len(rows)
