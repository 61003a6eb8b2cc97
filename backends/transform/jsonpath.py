"""The JSONPath that DataProcessing's filters are written in: the subset that the guide documents, which gives rows and objects back.

    path    = "$" step*
    step    = "." name | ".*" | "[" "*" "]" | "[" index ("," index)* "]" | "[" slice ("," index | "," slice)* "]" | "[" key ("," key)* "]"
    index   = ["-"] digits          slice = [index] ":" [index]         key = "'" text "'" | '"' text '"'

A path of single steps (`$.a.b`, `$[0]`) gives the value; a last step of several (`$[0,5:]`, `$['id','SageMakerOutput']`, `$[1:]`) gives a
row of an array, or an object with those keys of an object: what general libraries give as a flat list of matches.
Source: developer guide "Associate Prediction Results with Input Records", supported JSONPath operators (2026-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

TOKEN = re.compile(
    r"""\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<wild>\.\*|\[\s*\*\s*\])|\[(?P<inside>(?:'[^']*'|"[^"]*"|[^\]'"])*)\]"""
)
KEY = re.compile(r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\s*""")
INDEX = re.compile(r"\s*(?P<first>-?\d{1,9})?\s*(?P<colon>:)?\s*(?P<last>-?\d{1,9})?\s*")


class JsonPathError(ValueError):
    """A path outside of the subset, or one that finds nothing in a record; the message says which."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: keys of an object, or indexes and slices of an array; `several`: it gives a row or an object back."""

    keys: tuple[str, ...] = ()
    indexes: tuple[int | slice, ...] = ()
    several: bool = False
    everything: bool = False


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled path."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_whole(self) -> bool:
        """Return whether it is `$`, which changes nothing."""
        return not self.steps

    @property
    def takes_rows_whole(self) -> bool:
        """Return whether it finds all of any array: `$`, `$[*]`, `$[0:]`."""
        all_of = (slice(None), slice(0, None))
        return all(step.everything or (len(step.indexes) == 1 and step.indexes[0] in all_of) for step in self.steps)

    @property
    def has_keys(self) -> bool:
        """Return whether it names keys, which a row of CSV does not have."""
        return any(step.keys for step in self.steps)

    def of(self, value: Any) -> Any:
        """Return what the path finds in a value. JsonPathError where it finds nothing."""
        for step in self.steps:
            value = self._step(step, value)
        return value

    def of_rows(self, rows: list[list[Any]]) -> list[Any]:
        """Return what the path finds in each of many rows. JsonPathError where it finds nothing in one."""
        indexes = self.steps[0].indexes if len(self.steps) == 1 else ()
        first = indexes[0] if len(indexes) == 1 else None
        try:
            if isinstance(first, slice):
                return [row[first] for row in rows]
            if len(indexes) > 1 and not any(isinstance(index, slice) for index in indexes):
                pick = itemgetter(*indexes)
                return [list(pick(row)) for row in rows]
        except IndexError as error:
            raise JsonPathError(f"The path {self.text} finds nothing.") from error
        return [self.of(row) for row in rows]

    def _step(self, step: Step, value: Any) -> Any:
        if step.everything and isinstance(value, dict | list):
            return value
        if step.keys and isinstance(value, dict):
            missing = [key for key in step.keys if key not in value]
            if not missing:
                return {key: value[key] for key in step.keys} if step.several else value[step.keys[0]]
        if step.indexes and isinstance(value, list):
            try:
                if not step.several:
                    return value[step.indexes[0]]
                return [
                    item
                    for index in step.indexes
                    for item in (value[index] if isinstance(index, slice) else [value[index]])
                ]
            except IndexError:
                pass
        raise JsonPathError(f"The path {self.text} finds nothing.")


def compile_path(text: str) -> JsonPath:
    """Compile a path. JsonPathError for one outside of the subset."""
    if not text.startswith("$"):
        raise JsonPathError(f"The path {text} does not begin with $.")
    steps: list[Step] = []
    position = 1
    while position < len(text):
        matched = TOKEN.match(text, position)
        if matched is None or (steps and (steps[-1].several or steps[-1].everything)):
            raise JsonPathError(f"The path {text} is not supported: see the operators of DataProcessing.")
        steps.append(_step_of(text, matched))
        position = matched.end()
    return JsonPath(text, tuple(steps))


def _step_of(text: str, matched: re.Match[str]) -> Step:
    if matched["name"] is not None:
        return Step(keys=(matched["name"],))
    if matched["wild"] is not None:
        return Step(everything=True)
    parts = _parts(matched["inside"])
    keys = [each for part in parts if (each := KEY.fullmatch(part))]
    if keys and len(keys) == len(parts):
        names = tuple(key["single"] if key["single"] is not None else key["double"] for key in keys)
        return Step(keys=names, several=len(names) > 1)
    indexes = [_index_of(text, part) for part in parts]
    return Step(indexes=tuple(indexes), several=len(indexes) > 1 or isinstance(indexes[0], slice))


def _parts(inside: str) -> list[str]:
    return re.split(r""",(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""", inside)


def _index_of(text: str, part: str) -> int | slice:
    matched = INDEX.fullmatch(part)
    if matched is None or (matched["first"] is None and matched["colon"] is None):
        raise JsonPathError(f"The path {text} is not supported: {part!r} is no index, slice or key.")
    first = int(matched["first"]) if matched["first"] is not None else None
    if matched["colon"] is None:
        if matched["last"] is not None or first is None:
            raise JsonPathError(f"The path {text} is not supported: {part!r} is no index.")
        return first
    return slice(first, int(matched["last"]) if matched["last"] is not None else None)
