"""Arrays to JSON, CSV and npy, and back, as the scikit-learn and XGBoost images do."""

import io
import json
from typing import Any

import numpy as np

from containers.toolkit import handlers
from containers.toolkit.serving import RequestError
from sagemaker_containers._errors import UnsupportedFormatError


def encode(array_like: Any, content_type: str) -> Any:
    """Return text for JSON and CSV, bytes for npy. Raises UnsupportedFormatError."""
    try:
        body: Any = handlers.encode_rows(array_like, content_type).body
    except RequestError as error:
        raise UnsupportedFormatError(content_type) from error
    return body if content_type == "application/x-npy" else body.decode()


def decode(obj: Any, content_type: str) -> Any:
    """Return an array; CSV keeps its fields as text, as in the images. Raises UnsupportedFormatError."""
    decoders = {"application/json": json_to_numpy, "text/csv": csv_to_numpy, "application/x-npy": npy_to_numpy}
    if content_type not in decoders:
        raise UnsupportedFormatError(content_type)
    return decoders[content_type](obj)


def array_to_json(array_like: Any) -> Any:
    """Return JSON."""
    return encode(array_like, "application/json")


def array_to_csv(array_like: Any) -> Any:
    """Return CSV, a line a row."""
    return encode(array_like, "text/csv")


def array_to_npy(array_like: Any) -> Any:
    """Return a .npy file."""
    return encode(array_like, "application/x-npy")


def json_to_numpy(string_like: Any, dtype: Any = None) -> Any:
    """Return the array of a JSON document."""
    return np.array(json.loads(string_like), dtype=dtype)


def csv_to_numpy(string_like: Any, dtype: Any = None) -> Any:
    """Return the fields, quotes taken off and lone axes dropped; numbers where `dtype` says so."""
    import csv

    array = np.array(list(csv.reader(io.StringIO(string_like), strict=True))).squeeze()
    return array if dtype is None else array.astype(dtype)


def npy_to_numpy(npy_array: Any) -> Any:
    """Return the array of a .npy file; pickled objects are refused."""
    return np.load(io.BytesIO(npy_array), allow_pickle=False)
