"""Facets: scalars of documents, written with them, by which Lists and Search find and order what no column holds.

A facet is one scalar at one path: `HyperParameters.max_depth`, and for each item of a list one of the same path,
`InputDataConfig.ChannelName`. `item` numbers the items of the outermost list, so that a nested filter can ask for two
properties of one item. The rows lie in the order in which they are searched, and in no other: each further order would be
a page more for every facet of every row that is stored. They are removed by what the old document says.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete

from backends.core.dialects import fold
from backends.core.prepared import Prepared, PreparedRows
from backends.core.tables import facets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backends.core.db import Transaction

Facet = tuple[int, str, float | None]
"""The item's number (-1 outside a list), the text, and the number where the text is one."""
Facets = dict[tuple[str, int], Facet]
"""Facets by their path and their place among those of the path."""

ALL = "*"
LONGEST_KEPT, KEPT = 256, 160
"""Texts longer than the first count as far as the second goes, and as a whole: PostgreSQL's keys have at most 2,704 bytes."""
MAX_FACETS = 1000
_KEY = ("path", "text", "resource_id", "place")
_INSERT = PreparedRows(facets, (*_KEY, "item", "number", "folded"))
_DELETE = Prepared(delete(facets).where(*(facets.c[name] == bindparam(f"of_{name}") for name in _KEY)))


@dataclass(frozen=True, slots=True)
class Indexed:
    """Which scalars of a kind's documents are facets.

    `patterns` are paths; `*` is every one but those in `columns`, which have a column of their own. `derived` adds some
    that stand in the document in another form.
    """

    patterns: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    derived: Callable[[Mapping[str, Any]], Iterable[tuple[str, Any]]] | None = None

    def facets_of(self, document: Mapping[str, Any]) -> Facets:
        """Return a document's facets."""
        if not self.patterns:
            return {}
        scalars: list[tuple[str, int, Any]] = []
        _collect(document, "", -1, scalars)
        if ALL in self.patterns:
            scalars = [scalar for scalar in scalars if scalar[0] not in self.columns]
        else:
            scalars = [scalar for scalar in scalars if scalar[0] in self.patterns]
        if self.derived is not None:
            scalars += [(path, -1, value) for path, value in self.derived(document)]
        facets_found: Facets = {}
        places: dict[str, int] = {}
        for path, item, value in scalars[:MAX_FACETS]:
            if "\0" in path:  # a map's key can have one
                path = path.replace("\0", "")  # noqa: PLW2901
            place = places.get(path, 0)
            places[path] = place + 1
            text, number = _text_and_number(value)
            facets_found[path, place] = item, text, number
        return facets_found


def _collect(document: Mapping[str, Any], prefix: str, item: int, into: list[tuple[str, int, Any]]) -> None:
    """Add every scalar of a document: its path, the number of its outermost list's item (-1: no list), itself."""
    for name, value in document.items():
        kind = type(value)
        if kind is dict:
            _collect(value, f"{prefix}{name}.", item, into)
        elif kind is list:
            _collect_items(value, prefix + name, item, into)
        elif value is not None:
            into.append((prefix + name, item, value))


def _collect_items(values: list[Any], path: str, item: int, into: list[tuple[str, int, Any]]) -> None:
    """Add every scalar of a list."""
    for number, value in enumerate(values):
        inside = number if item < 0 else item
        kind = type(value)
        if kind is dict:
            _collect(value, f"{path}.", inside, into)
        elif kind is list:
            _collect_items(value, path, inside, into)
        elif value is not None:
            into.append((path, inside, value))


def _text_and_number(value: Any) -> tuple[str, float | None]:
    if type(value) is str:
        text = kept_text(value)
        return text, number_of(text)
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, (int, float)):
        return str(value), float(value)
    text = kept_text(str(value))
    return text, number_of(text)


def kept_text(text: str) -> str:
    """Return a text as it is stored and compared: a long one by its beginning and its digest, NUL by nothing (PostgreSQL)."""
    if "\0" in text:
        text = text.replace("\0", "")
    if len(text) <= LONGEST_KEPT:
        return text
    return f"{text[:KEPT]} {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def number_of(text: str) -> float | None:
    """Return the finite number that a text is, or None."""
    if not text or text[0] not in "0123456789+-.":  # most texts, at a tenth of the cost of an exception
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def store(tx: Transaction, resource_id: int, old: Facets, new: Facets) -> None:
    """Write a resource's facets where they differ from those that are there."""
    gone = [(key, facet) for key, facet in old.items() if new.get(key) != facet]
    added = [(key, facet) for key, facet in new.items() if old.get(key) != facet] if old else new.items()
    if gone:
        _DELETE.run_many(
            tx,
            [
                {"of_path": path, "of_text": text, "of_resource_id": resource_id, "of_place": place}
                for (path, place), (_, text, _number) in gone
            ],
        )
    if added:
        _INSERT.run(
            tx,
            [
                (path, text, resource_id, place, item, number, fold(text))
                for (path, place), (item, text, number) in added
            ],
        )
