"""JSON that somebody wrote into a request as text: read whole, and only what can be matched and written again."""

from __future__ import annotations

import json
import math
from typing import Any

MOST_DEPTH = 200
"""Of what is matched and sent on; Unverified: how deep AWS reads."""


class TooDeepError(ValueError):
    """A document has more levels than are matched."""


def read(text: str) -> Any:
    """Return a document. ValueError for what is no JSON, too deep, or holds half a character or a number without end."""
    try:
        document = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error
    if text.count("[") + text.count("{") > MOST_DEPTH:
        _check_depth(document)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(document, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    return document


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is no JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large.")
    return number


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise TooDeepError
