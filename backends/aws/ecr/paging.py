"""ECR's pages: `maxResults` and `nextToken`. InvalidParameterException for a token of another request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.ecr import scope
from backends.core import paging
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.context import Context

DEFAULT = 100


def requested(cx: Context, request: dict[str, Any]) -> tuple[list[Any], int]:
    """Return where the last page ended (nothing for the first), and the size of the next."""
    after = []
    if "nextToken" in request:
        try:
            after = paging.read_token(cx, request["nextToken"], _binding(request))
        except AwsError as error:
            raise scope.invalid("Invalid parameter at 'nextToken' failed to satisfy constraint: 'token'") from error
    return after, request.get("maxResults", DEFAULT)


def token(cx: Context, request: dict[str, Any], mark: list[Any]) -> str:
    """Write where a page ended."""
    return paging.write_token(cx, mark, _binding(request))


def _binding(request: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in request.items() if name not in {"nextToken", "maxResults"}}
    return b"ecr" + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
