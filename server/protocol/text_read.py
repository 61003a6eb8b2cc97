"""Values that come as text: XML elements, headers, query strings, path labels and form fields."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from server.protocol import timestamps
from server.protocol.failures import refuse
from server.protocol.json_read import JAVA_NAMES, RANGES, SPELLED_FLOATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import Shape

    from backends.core.errors import AwsError


def scalar(shape: Shape, failure: Callable[[], AwsError] | None = None) -> Callable[[str], Any]:
    """Return a function that reads a scalar of this shape from text.

    `failure` makes the error for text that is not such a value
    (SerializationException when not given).
    """
    kind = shape.type_name
    convert: Callable[[str], Any]
    if kind == "boolean":
        convert = _boolean
    elif kind in RANGES:
        convert = _integer(RANGES[kind])
    elif kind in {"float", "double"}:
        convert = _float
    elif kind == "timestamp":
        convert = timestamps.read
    elif kind == "blob":
        convert = _blob
    else:
        return str

    def read(text: str) -> Any:
        try:
            return convert(text)
        except (ValueError, OverflowError) as error:
            if failure is not None:
                raise failure() from error
            raise refuse(f"STRING_VALUE can not be converted to {JAVA_NAMES.get(kind, 'an Integer')}") from error

    return read


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"true", "false"}:
        return lowered == "true"
    raise ValueError(text)


def _integer(limit: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if len(text) > 32:  # no integer of the model is that long, and int() is slow on thousands of digits
            raise ValueError(text)
        value = int(text)
        if not -limit <= value < limit:
            raise ValueError(text)
        return value

    return read


def _float(text: str) -> float:
    return SPELLED_FLOATS[text] if text in SPELLED_FLOATS else float(text)


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error
