"""Paths into documents: `ModelArtifacts.S3ModelArtifacts`, `Outputs['train'].S3Output.S3Uri`, `TrainingJobSummaries[0]`.

    path = [name] { "." name | "[" number "]" | "['" key "']" | '["' key '"]' }

A key in brackets is a member of a map, or names an item of a list by the item's own name (`OutputName`, `MetricName`).
Source: developer guide, "Step Properties"; the SDK's `PropertyFile` and `JsonGet`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

PART = re.compile(r"""\.?(?P<name>[^.\[\]'"]+)|\[(?P<number>-?\d+)\]|\['(?P<single>[^']*)'\]|\["(?P<double>[^"]*)"\]""")
Part = str | int


class MissingError(LookupError):
    """Nothing stands at a path; the message says which."""


@lru_cache(maxsize=4096)
def parts_of(path: str) -> tuple[Part, ...] | None:
    """Return the names, keys and numbers of a path; None for what is no path."""
    parts: list[Part] = []
    at = 0
    while at < len(path):
        match = PART.match(path, at)
        if match is None or (path[at] == "." and not parts) or (path[at] not in ".[" and parts):
            return None
        number = match["number"]
        parts.append(int(number) if number is not None else match["name"] or match["single"] or match["double"] or "")
        at = match.end()
    return tuple(parts)


def at(document: Any, path: str) -> Any:
    """Return what stands at a path. MissingError."""
    value = document
    for part in parts_of(path) or ():
        value = _inside(value, part, path)
    return value


def _inside(value: Any, part: Part, path: str) -> Any:
    if isinstance(value, dict) and str(part) in value:
        return value[str(part)]
    if isinstance(value, list):
        if isinstance(part, int) and -len(value) <= part < len(value):
            return value[part]
        for item in value:
            if isinstance(item, dict) and part in (v for k, v in item.items() if k.endswith("Name")):
                return item
    raise MissingError(path)
