"""CloudWatch's errors, by the names of its model; clients see query's codes. Dimensions and tokens, refused by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import paging
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.context import Context


def value(message: str) -> AwsError:
    """Return InvalidParameterValue."""
    return AwsError("InvalidParameterValueException", message)


def combination(message: str) -> AwsError:
    """Return InvalidParameterCombination."""
    return AwsError("InvalidParameterCombinationException", message)


def missing(message: str) -> AwsError:
    """Return MissingParameter."""
    return AwsError("MissingRequiredParameterException", message)


def validation(message: str) -> AwsError:
    """Return ValidationError."""
    return AwsError("ValidationException", message)


def not_found(message: str = "") -> AwsError:
    """Return ResourceNotFound."""
    return AwsError("ResourceNotFound", message)


def dimensions(given: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return dimensions by name; InvalidParameterValue for a name that comes twice."""
    by_name = {entry["Name"]: entry["Value"] for entry in given}
    if len(by_name) != len(given):
        raise value("No Metric may specify the same dimension name twice.")
    return by_name


def read_token(cx: Context, token: str, binding: bytes) -> list[Any]:
    """Return where the last page ended; InvalidNextToken for a token that this request did not get."""
    try:
        return paging.read_token(cx, token, binding)
    except AwsError as error:
        raise AwsError("InvalidNextToken", "The specified nextToken is invalid.") from error
