"""What the protocols share about errors: refusing bad requests, and finding an error in the model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from backends.core.errors import AwsError

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape


def refuse(message: str) -> AwsError:
    """Return the error for a request that cannot be read: malformed, not UTF-8, or of the wrong type."""
    return AwsError("SerializationException", message)


@cache
def _error_shapes(service: ServiceModel) -> dict[str, Shape]:
    by_code = {shape.error_code: shape for shape in service.error_shapes}
    return by_code | {shape.name: shape for shape in service.error_shapes}  # a code may be another shape's name


def error_shape(service: ServiceModel, error: AwsError) -> Shape | None:
    """Return the modelled error of this code (a shape's name or its code on the wire), None for an unmodelled one."""
    return _error_shapes(service).get(error.code)


def status_of(shape: Shape | None, error: AwsError) -> int:
    """Return the HTTP status: the model's own where it has one, else what the raiser said (400 unless told)."""
    if shape is None:
        return error.status
    modelled = shape.metadata.get("error", {}).get("httpStatusCode")
    if modelled is not None:
        return int(modelled)
    return 500 if shape.metadata.get("fault") and error.status == 400 else error.status


def message_member(shape: Shape | None, default: str) -> str:
    """Return the name of the member that carries the sentence: the model says `Message` or `message`."""
    if shape is not None:
        for name in shape.members:
            if name.lower() == "message":
                return str(name)
    return default


def query_error(service: ServiceModel, shape: Shape | None, error: AwsError, status: int) -> list[tuple[str, str]]:
    """Return the header by which clients of a service that once spoke query still see query's code; mostly none."""
    if "awsQueryCompatible" not in service.metadata:
        return []
    code = error.code if shape is None else shape.error_code
    return [("x-amzn-query-error", f"{code};{'Sender' if status < 500 else 'Receiver'}")]
