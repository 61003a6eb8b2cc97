"""Request bodies to DMatrix."""

import json
from typing import Any

from sagemaker_containers._errors import UnsupportedFormatError

from containers.toolkit.serving import RequestError
from containers.xgboost import scorers


def csv_to_dmatrix(input: str | bytes, dtype: Any = None) -> Any:  # noqa: A002 - the image's name
    """Return the DMatrix of CSV rows without a header."""
    del dtype
    return scorers.default_input(input, "text/csv")


def libsvm_to_dmatrix(string_like: bytes) -> Any:
    """Return the DMatrix of libsvm rows."""
    return scorers.default_input(string_like, "text/libsvm")


def recordio_protobuf_to_dmatrix(string_like: bytes) -> Any:
    """Return the DMatrix of recordio-protobuf records."""
    return scorers.default_input(string_like, "application/x-recordio-protobuf")


def json_to_jsonlines(json_data: Any) -> bytes:
    """Return a line for each entry of the document's only list."""
    document = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(document) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    return b"".join(json.dumps(entry).encode() + b"\n" for entries in document.values() for entry in entries)


def decode(obj: Any, content_type: str) -> Any:
    """Return the DMatrix of a body. Raises UnsupportedFormatError."""
    try:
        return scorers.default_input(obj, content_type)
    except RequestError as error:
        raise UnsupportedFormatError(content_type) from error
