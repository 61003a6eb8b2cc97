"""From a channel to a DMatrix: CSV, libsvm, parquet, recordio-protobuf; a file, a directory, or a pipe."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from containers.toolkit import recordio, tables
from containers.toolkit.command_line import ClientError
from containers.xgboost import libsvm
from containers.xgboost.release import release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from containers.toolkit.opt_ml import Channel, OptMl

CSV, LIBSVM, PARQUET, RECORDIO = "text/csv", "text/libsvm", "application/x-parquet", "application/x-recordio-protobuf"
_CONTENT_TYPES = {
    "csv": CSV, "text/csv": CSV, "libsvm": LIBSVM, "text/libsvm": LIBSVM, "text/x-libsvm": LIBSVM, "parquet": PARQUET,
    "application/x-parquet": PARQUET, "recordio-protobuf": RECORDIO, "application/x-recordio-protobuf": RECORDIO,
}  # fmt: skip
ACCEPTED = (
    "csv", "libsvm", "parquet", "recordio-protobuf", CSV, LIBSVM, "text/x-libsvm", PARQUET, RECORDIO,
)  # fmt: skip
SHORT = {CSV: "csv", LIBSVM: "libsvm", PARQUET: "parquet", RECORDIO: "recordio-protobuf"}
WHOLE_FOLDERS, _LEVELS = (1, 7, 1), 3
_PIPED = (CSV, PARQUET, RECORDIO)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?))", re.IGNORECASE)


def content_type_of(given: str | None) -> str:
    """Return the canonical content type; libsvm where none is given. Raises ClientError."""
    kind, *parameters = [part.strip().lower() for part in (given or "libsvm").split(";")]
    if kind not in _CONTENT_TYPES:
        raise ClientError(f"{given} is not an accepted ContentType: {', '.join(ACCEPTED)}.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "label_size" and value != "1":
            raise ClientError(
                f"{given} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
            )
    return _CONTENT_TYPES[kind]


def matrix(tree: OptMl, channel: Channel, *, csv_weights: bool, checked: bool = True) -> Any:
    """Return the channel as an `xgboost.DMatrix` of [n, d] float32 with labels [n]. Raises ClientError on bad data.

    `checked`: whether the head of libsvm files is looked at first, as the built-in algorithm does and its functions do not.
    """
    kind = content_type_of(channel.content_type)
    if channel.mode == "Pipe" and kind not in _PIPED:
        entry = {
            "ContentType": channel.content_type,
            "TrainingInputMode": "Pipe",
            "S3DistributionType": channel.distribution,
        }
        raise ClientError(f"Channel configuration for '{channel.name}' channel is not supported: {entry}")
    parts = [(name, body) for name, body in _bodies(tree, channel, kind) if body]
    if not parts:
        named = {"train": "training"}.get(channel.name, channel.name)
        raise ClientError(f"No data in {named} channel path {tree.channel_path(channel.name)}")
    for name, body in parts if checked and kind == LIBSVM else []:
        libsvm.check_head(name, body)
    piped = channel.mode == "Pipe"
    loaded = [_part(kind, name, body, csv_weights=csv_weights, piped=piped) for name, body in parts]
    try:
        joined = _joined(loaded)
    except ValueError as problem:
        raise ClientError(
            f"Channel {channel.name}: the files differ in their number of columns ({problem})"
        ) from problem
    if not joined.get_label().size:
        raise ClientError(
            "Got input data without labels. Please check the input data set. If training job is running on multiple instances, please "
            "switch to using single instance if number of records in the data set is less than number of workers "
            "(16 * number of instance) in the cluster."
        )
    return joined


def _bodies(tree: OptMl, channel: Channel, kind: str) -> Iterator[tuple[str, bytes]]:
    if channel.mode == "Pipe":
        body = tree.fifo_path(channel.name, 0).read_bytes()
        # With the RecordIO wrapper each object of a parquet channel is one frame; protobuf records are frames themselves.
        wrapped = kind == PARQUET and channel.record_wrapper == "RecordIO"
        yield from ((channel.name, part) for part in (recordio.frames(body) if wrapped else [body]))
        return
    root = tree.channel_path(channel.name)
    for path in files(root):
        yield str(path.relative_to(root.parent)), path.read_bytes()


def files(root: Path) -> list[Path]:
    """Return the files of a channel that the release reads. Raises ClientError for a hidden one, wherever it lies.

    Since 1.7-1 those of three levels of folders; before, those of the first folder without folders and no others.
    """
    paths = sorted(path for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file())
    if any(path.name.startswith(".") for path in paths):
        raise ClientError("Hidden file found in the data path! Remove that before training.")
    if root.is_dir() and release() < WHOLE_FOLDERS:
        folder = next((Path(top) for top, folders, _ in os.walk(root) if not folders), root)
        taken = [path for path in paths if path.parent == folder]
    else:
        taken = [path for path in paths if root.is_file() or len(path.relative_to(root).parts) <= _LEVELS]
    if len(taken) < len(paths):
        print(f"{len(paths) - len(taken)} file(s) in other or deeper folders of {root} are not read", flush=True)
    return [path for path in taken if not path.name.startswith("_")]


def _part(kind: str, name: str, body: bytes, *, csv_weights: bool, piped: bool = False) -> dict[str, Any]:
    try:
        if kind == CSV:
            return _csv(body, csv_weights=csv_weights, lenient=not piped)
        if kind == LIBSVM:
            rows = libsvm.rows(body)
            return {"sparse": rows, "label": rows.labels, "weight": rows.weights, "qid": rows.qid}
        return _parquet(body) if kind == PARQUET else _records(body)
    except ClientError:
        raise
    except Exception as problem:
        raise ClientError(f"Failed to load {SHORT[kind]} data with exception:\n{name}: {problem}") from problem


def _csv(body: bytes, *, csv_weights: bool, lenient: bool = True) -> dict[str, Any]:
    """Return the columns; a pipe's reader is another than a file's and takes numbers only."""
    try:
        table = tables.csv(body)
        unlabelled = bool(np.isnan(table[:, 0]).any())
    except ValueError:
        if not lenient:
            raise
        unlabelled = True
    if unlabelled and lenient:
        table = _lenient_csv(body)
    if not np.isfinite(table[:, 0]).all():
        raise ClientError("Failed to load csv data with exception:\nLabel contains NaN, infinity or a value too large.")
    first = 2 if csv_weights else 1
    if table.shape[1] <= first:
        raise ClientError(
            f"the CSV has {table.shape[1]} columns: the label, {'the weight, ' * csv_weights}and no feature"
        )
    return {"dense": table[:, first:], "label": table[:, 0], "weight": table[:, 1] if csv_weights else None}


def _lenient_csv(body: bytes) -> np.ndarray:
    """Read as XGBoost's own parser does: a field counts as far as it is a number, a word or nothing is missing.

    A label that is none is 0: a header is a row of nothing, and the job goes on (sm-data-wrangler-mlops-workflows 1).
    """
    lines = [line for line in body.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if not lines:
        raise ValueError("the CSV is empty")
    delimiter = max((",", ";", "\t", "|"), key=lines[-1].count)
    rows = [[_number(field) for field in line.split(delimiter)] for line in lines]
    table = np.full((len(rows), max(map(len, rows))), np.nan, np.float32)
    for number, row in enumerate(rows):
        table[number, : len(row)] = [np.nan if value is None else value for value in row]
        if row[0] is None:
            table[number, 0] = 0
    return table


def _number(field: str) -> float | None:
    match = _NUMBER.match(field)
    return float(match[1]) if match else None


def _parquet(body: bytes) -> dict[str, Any]:
    from pyarrow import parquet

    # Without threads of Arrow's: a process that ends soon after is aborted by them now and then ("terminate called without
    # an active exception", pyarrow 26; one in three where they read ahead).
    read = parquet.read_table(io.BytesIO(body), pre_buffer=False, use_threads=False)
    # pandas stores an index of its own as columns, and takes them back as its index: they are no features.
    index = [name for name in (read.schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    read = read.drop_columns([name for name in index if name in read.column_names])
    table = np.column_stack([column.to_numpy().astype(np.float32) for column in read.columns])
    return {"dense": table[:, 1:], "label": table[:, 0]}


def _records(body: bytes) -> dict[str, Any]:
    records = recordio.records(body)
    label = (
        None
        if records[0].label is None
        else np.concatenate([record.label for record in records if record.label is not None])
    )
    return {**features_of(records), "label": label}


def features_of(records: list[recordio.Record]) -> dict[str, Any]:
    """Return the records' features as `dense` [n, d] float32, or as `sparse` rows where any record has keys."""
    if all(record.features.keys is None for record in records):
        return {"dense": np.stack([record.features.values.astype(np.float32) for record in records])}
    keys = [np.arange(r.features.values.size) if r.features.keys is None else r.features.keys for r in records]
    indptr = np.concatenate(([0], np.cumsum([key.size for key in keys])))
    data = np.concatenate([record.features.values for record in records]).astype(np.float32)
    labels = np.zeros(len(records), np.float32)
    return {"sparse": tables.SparseRows(data, np.concatenate(keys).astype(np.int64), indptr, labels)}


def _joined(parts: list[dict[str, Any]]) -> Any:
    import scipy.sparse
    import xgboost

    if "sparse" in parts[0]:
        width = max(int(part["sparse"].indices.max(initial=-1)) + 1 for part in parts)
        features: Any = scipy.sparse.vstack(
            [
                scipy.sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(len(rows.indptr) - 1, width))
                for rows in (part["sparse"] for part in parts)
            ],
            format="csr",
        )
    else:
        features = np.concatenate([part["dense"] for part in parts])
    joined = {name: _column(parts, name) for name in ("label", "weight", "qid")}
    try:
        return xgboost.DMatrix(features, **joined)
    except xgboost.core.XGBoostError as problem:
        raise ClientError(first_sentence(str(problem))) from problem


def _column(parts: list[dict[str, Any]], name: str) -> np.ndarray | None:
    columns = [part.get(name) for part in parts]
    present = [column for column in columns if column is not None]
    if not present:
        return None
    if len(present) != len(columns):
        raise ClientError(f"some files of the channel have a {name} and others do not")
    return np.concatenate(present)


def first_sentence(text: str) -> str:
    """Return the library's message without its C++ file, line and stack."""
    lines = [line.strip() for line in text.split("Stack trace", maxsplit=1)[0].splitlines() if line.strip()]
    return re.sub(r"^(\[[\d:]+\] )?\S+\.\w+:\d+: ", "", " ".join(lines))
