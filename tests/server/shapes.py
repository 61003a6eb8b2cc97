"""Hypothesis strategies from the model: a value for any shape, as narrow as `normalise.SENT` says and no narrower."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botocore.model import Shape
    from hypothesis.strategies import DrawFn, SearchStrategy

T = TypeVar("T")
EVERY = "LOCALMAKER_TEST_SHAPES" in os.environ
"""Whether each operation is tried, or one for each distinct shape; the long run tries each."""
DEPTH = 4
"""Levels below which only required members are drawn: recursive shapes end there."""

JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
XML_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=8)
LABEL_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
HEADER_TEXT = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=1, max_size=8)
LETTERS = st.text(string.ascii_lowercase, min_size=1, max_size=6)
INTEGERS = {"integer": st.integers(-(2**31), 2**31 - 1), "long": st.integers(-(2**63), 2**63 - 1)}
MILLIS = st.integers(0, 4_000_000_000_000).map(lambda millis: millis / 1000)
SECONDS = st.integers(0, 4_000_000_000).map(float)


@dataclass(frozen=True)
class Wire:
    """Where a value will travel: the protocol, and whether it is an answer."""

    protocol: str
    response: bool


def _text(wire: Wire, location: str | None) -> SearchStrategy[str]:
    if location in {"header", "headers"}:
        return HEADER_TEXT
    if location in {"uri", "querystring"}:
        return LABEL_TEXT
    return XML_TEXT if wire.protocol in {"rest-xml", "query"} else JSON_TEXT


@cache
def _scalar(kind: str, wire: Wire, location: str | None) -> SearchStrategy[Any]:
    if kind in INTEGERS:
        return INTEGERS[kind]
    if kind in {"float", "double"}:
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return SECONDS if location == "header" else MILLIS
    if kind == "blob":
        return st.binary(max_size=8)
    return _text(wire, location)


def _draw(draw: DrawFn, shape: Shape, wire: Wire, depth: int, location: str | None) -> Any:
    if shape.type_name == "structure":
        return _draw_structure(draw, shape, wire, depth)
    if shape.type_name == "list":
        if location == "header":
            return draw(st.lists(LETTERS if wire.response else HEADER_TEXT, min_size=1, max_size=3))
        count = draw(st.integers(0, 2 if depth < DEPTH else 0))
        return [_draw(draw, shape.member, wire, depth + 1, location) for _ in range(count)]
    if shape.type_name == "map":
        keys = LETTERS if location == "headers" else _text(wire, location)
        names = draw(st.lists(keys, max_size=2 if depth < DEPTH else 0, unique=True))
        return {name: _draw(draw, shape.value, wire, depth + 1, location) for name in names}
    return draw(_value(shape, wire, location))


def _value(shape: Shape, wire: Wire, location: str | None) -> SearchStrategy[Any]:
    if location == "statusCode":
        return st.just(200)  # botocore reads a status above 300 as an error
    if shape.serialization.get("hostLabel"):
        return LETTERS
    if shape.type_name == "string" and shape.enum and location not in {"header", "headers"}:
        return st.sampled_from(shape.enum)
    if shape.type_name == "timestamp" and str(shape.serialization.get("timestampFormat")).lower() == "rfc822":
        return SECONDS
    return _scalar(shape.type_name, wire, location)


def _draw_structure(draw: DrawFn, shape: Shape, wire: Wire, depth: int) -> dict[str, Any]:
    if shape.is_document_type:
        return {"a": draw(JSON_TEXT), "b": [1, 2.5, True]}
    members = shape.members
    if shape.is_tagged_union:
        chosen = [draw(st.sampled_from(sorted(members)))]
    else:
        # One integer's bits choose the optional members: far quicker than a draw for each.
        bits = draw(st.integers(0, 2 ** len(members) - 1)) if depth < DEPTH and members else 0
        required = set(shape.required_members)
        chosen = [name for place, name in enumerate(members) if name in required or bits >> place & 1]
    return {
        name: _draw(draw, members[name], wire, depth + 1, members[name].serialization.get("location"))
        for name in chosen
        if not members[name].serialization.get("eventstream")
    }


def values(shape: Shape, wire: Wire) -> SearchStrategy[Any]:
    """Return a strategy for values of a shape."""

    @st.composite
    def drawn(draw: DrawFn) -> Any:
        return _draw(draw, shape, wire, 0, None)

    return drawn()


def form(shape: Shape | None, above: tuple[str, ...] = ()) -> Any:
    """Return what the wire makes of a shape: types and traits all the way down, without the names of its members."""
    if shape is None:
        return None
    if shape.name in above:
        return ("again", above.index(shape.name))
    above = (*above, shape.name)
    traits = {name: value for name, value in shape.serialization.items() if name != "locationName"}
    renamed = shape.serialization.get("name") not in {None, shape.name}
    own = (shape.type_name, renamed, bool(getattr(shape, "enum", ())), str(sorted(traits.items(), key=str)))
    if shape.type_name == "structure":
        required = set(shape.required_members)
        return (*own, frozenset((name in required, form(member, above)) for name, member in shape.members.items()))
    if shape.type_name == "list":
        return (*own, form(shape.member, above))
    return (*own, form(shape.key, above), form(shape.value, above)) if shape.type_name == "map" else own


def distinct(items: Iterable[T], form_of: Callable[[T], Any]) -> list[T]:
    """Return the first item of each form; all of them in the long run."""
    items = list(items)
    return items if EVERY else list({form_of(item): item for item in reversed(items)}.values())[::-1]
