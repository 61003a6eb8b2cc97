"""Data readers of the XGBoost image, by the calls that its open code makes: CSV and recordio-protobuf from files, memory and pipes.

What else the library has (Parquet, images, transforms) is not here, and asking for it says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import recordio, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def __getattr__(name: str) -> Any:
    raise AttributeError(f"mlio.{name} is not in this image, which has the readers of CSV and recordio-protobuf only")


@dataclass(frozen=True)
class File:
    """A file's bytes."""

    path: str

    def read(self) -> bytes:
        """Return all."""
        return Path(self.path).read_bytes()


@dataclass(frozen=True)
class InMemoryStore:
    """Bytes that are there already."""

    data: bytes

    def read(self) -> bytes:
        """Return all."""
        return bytes(self.data)


class SageMakerPipe:
    """A channel in Pipe mode; each reading is an epoch, from the FIFO of its number."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._epochs = itertools.count()

    def read(self) -> bytes:
        """Return all of the next epoch."""
        return Path(f"{self._path}_{next(self._epochs)}").read_bytes()


def list_files(path: str) -> list[File]:
    """Return the files of a folder, or the one file."""
    root = Path(path)
    paths = [root] if root.is_file() else sorted(entry for entry in root.rglob("*") if entry.is_file())
    return [File(str(entry)) for entry in paths]


@dataclass(frozen=True)
class DataReaderParams:
    """What to read, and how many rows an example has."""

    dataset: Sequence[File | InMemoryStore | SageMakerPipe]
    batch_size: int


@dataclass(frozen=True)
class CsvParams:
    """Only CSV without a header."""

    header_row_index: int | None = 0

    def __post_init__(self) -> None:
        if self.header_row_index is not None:
            raise NotImplementedError("mlio here reads CSV without a header only: header_row_index=None")


@dataclass(frozen=True)
class DenseTensor:
    """`array`: [rows, columns] or [rows]."""

    array: np.ndarray


@dataclass(frozen=True)
class CooTensor:
    """Rows of which only some columns are given."""

    rows: tables.SparseRows
    columns: int


class Example:
    """A batch: features by name or number."""

    def __init__(self, features: dict[str, DenseTensor | CooTensor]) -> None:
        self._features = features

    def __getitem__(self, key: str | int) -> DenseTensor | CooTensor:
        return self._features[key] if isinstance(key, str) else list(self._features.values())[key]

    def __iter__(self) -> Iterator[DenseTensor | CooTensor]:
        return iter(self._features.values())

    def __len__(self) -> int:
        return len(self._features)


class _Reader:
    """Yields the data set's examples in order; all is read at the first request."""

    def __init__(self, params: DataReaderParams) -> None:
        self._params = params
        self._waiting: list[Example] | None = None

    def peek_example(self) -> Example | None:
        """Return the next example and leave it; None at the end."""
        if self._waiting is None:
            self._waiting = list(self._examples())
        return self._waiting[0] if self._waiting else None

    def read_example(self) -> Example | None:
        """Return the next example; None at the end."""
        return self._waiting.pop(0) if self.peek_example() is not None and self._waiting else None

    def __iter__(self) -> Iterator[Example]:
        while (example := self.read_example()) is not None:
            yield example

    def _examples(self) -> Iterator[Example]:
        raise NotImplementedError


class CsvReader(_Reader):
    """A feature a column, [rows] each. Raises ValueError for what is no number."""

    def __init__(self, params: DataReaderParams, csv_params: CsvParams | None = None) -> None:
        super().__init__(params)
        self._csv = csv_params or CsvParams()

    def _examples(self) -> Iterator[Example]:
        bodies = [body for body in (store.read() for store in self._params.dataset) if body.strip()]
        if not bodies:
            return
        table, size = np.concatenate([tables.csv(body) for body in bodies]), self._params.batch_size
        for start in range(0, len(table), size):
            columns = enumerate(table[start : start + size].T, 1)
            yield Example({str(number): DenseTensor(column) for number, column in columns})


class RecordIOProtobufReader(_Reader):
    """`values` [rows, columns], dense or sparse as the records are, and `label_values` where they have labels."""

    def _examples(self) -> Iterator[Example]:
        records = [record for store in self._params.dataset for record in recordio.records(store.read())]
        widths = [
            r.features.columns or int(r.features.keys.max(initial=-1)) + 1
            for r in records
            if r.features.keys is not None
        ]
        for start in range(0, len(records), self._params.batch_size):
            batch = records[start : start + self._params.batch_size]
            features: dict[str, DenseTensor | CooTensor] = {"values": _values(batch, max(widths, default=0))}
            labels = [record.label for record in batch if record.label is not None]
            if labels:
                features["label_values"] = DenseTensor(np.stack(labels))
            yield Example(features)


def _values(batch: list[recordio.Record], columns: int) -> DenseTensor | CooTensor:
    from containers.xgboost.data import features_of

    features = features_of(batch)
    return DenseTensor(features["dense"]) if "dense" in features else CooTensor(features["sparse"], columns)
