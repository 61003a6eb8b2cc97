"""When an earlier run of a step may stand for a new one: the arguments that are compared, and what they come to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from backends.pipelines import paths
from backends.pipelines.step_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE = frozenset({"Lambda", "Callback"})
"""Types of which all arguments are compared."""


def is_cached(step: Mapping[str, Any]) -> bool:
    """Return whether a step asks for earlier runs, and is of a type that has any."""
    kind = TYPES.get(step["type"])
    return step["cache_s"] is not None and (step["type"] in WHOLE or (kind is not None and bool(kind.compared)))


def key_of(name: str, step: Mapping[str, Any], arguments: Any, own: Any) -> str:
    """Return what two runs of a step have in common when one may stand for the other."""
    compared: Any = [arguments, own]
    if step["type"] not in WHOLE:
        compared = {path: _there(arguments, path) for path in TYPES[step["type"]].compared}
    text = orjson.dumps([name, step["type"], compared], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def _there(arguments: Any, path: str) -> Any:
    try:
        return paths.at(arguments, path)
    except paths.MissingError:
        return None
