"""Reading a refused call: what a test says about an error in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, int]:
    """Call, and give the error's code and HTTP status; fail when it is not refused."""
    error = error_of(call, **given)
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def error_of(call: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """Call, and give the whole error response."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    response: dict[str, Any] = caught.value.response
    return response
