"""Paging tokens: opaque to clients, signed with the installation's secret, bound to the request that they continue."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson

from backends.core import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.types import Context

PAGING = frozenset({"NextToken", "MaxResults"})


def binding_of(operation: str, request: Mapping[str, Any]) -> bytes:
    """Return what a token is bound to: everything that the request asks for but the page itself."""
    kept = {k: v for k, v in request.items() if k not in PAGING}
    return operation.encode() + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def write_token(cx: Context, mark: list[Any], binding: bytes) -> str:
    """Make an opaque token: where the page ended, signed for the request (`binding`) and account it belongs to."""
    body = orjson.dumps(mark)
    return base64.urlsafe_b64encode(_signature(cx, body, binding) + body).decode()


def read_token(cx: Context, token: str, binding: bytes) -> list[Any]:
    """Return where the last page ended; raise ValidationException for a token that this request did not get."""
    try:
        raw = base64.urlsafe_b64decode(token)
        if hmac.compare_digest(raw[:16], _signature(cx, raw[16:], binding)):
            mark: list[Any] = orjson.loads(raw[16:])
            return mark
    except ValueError:
        pass
    raise errors.validation("Invalid Pagination Token")  # Unverified: AWS's wording


def _signature(cx: Context, body: bytes, binding: bytes) -> bytes:
    message = b"\0".join((cx.account.encode(), cx.region.encode(), binding, body))
    return hmac.digest(cx.kernel.secret, message, hashlib.sha256)[:16]
