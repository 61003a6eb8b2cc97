"""QueryLineage: what an entity came from, or what came of it, along associations.

What AWS's documentation leaves open, and is unverified here: both directions, ten steps and 50 vertices are what a request
has that says nothing; the start is a vertex like any other; without one, entities are filtered and no association is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import null, select, tuple_

from backends.core import errors, paging
from backends.core.dialects import is_one_of
from backends.core.operation import operation
from backends.core.tables import resources
from backends.lineage.associations import NOUNS, entity, path_of, type_of
from backends.lineage.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from backends.core.context import Context

    Place = tuple[Any, ...]
    """Where a vertex stands in the order of all pages: its depth and ARN, or its kind, time and id; its ARN is last."""

STORED = resources.c
SHOWN = {path: noun for path, noun in NOUNS.items() if noun != "Experiment"}
"""An answer has no word for an experiment: it is walked through and not shown. Unverified."""
MOST_DEPTH, MOST_RESULTS = 10, 50
SCANNED = 1000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entities are shown; nothing of it hinders a walk."""

    types: frozenset[str]
    nouns: frozenset[str]
    times: tuple[ColumnElement[bool], ...]
    properties: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Filters:
        """Read a request's filters."""
        compared = {
            "CreatedAfter": STORED.created.__gt__,
            "CreatedBefore": STORED.created.__lt__,
            "ModifiedAfter": STORED.modified.__gt__,
            "ModifiedBefore": STORED.modified.__lt__,
        }
        return cls(
            types=frozenset(given.get("Types", ())),
            nouns=frozenset(given.get("LineageTypes") or SHOWN.values()),
            times=tuple(compare(given[member]) for member, compare in compared.items() if member in given),
            properties=tuple(given.get("Properties", {}).items()),
        )

    @property
    def are_all(self) -> bool:
        """Whether they let everything through."""
        return not (self.types or self.times or self.properties) and len(self.nouns) == len(SHOWN)

    def selected(self, cx: Context, walk: Walk, level: Sequence[str]) -> list[str]:
        """Return those of a level that are shown, in its order."""
        of_types = [
            arn
            for arn in level
            if SHOWN.get(path_of(arn)) in self.nouns and (not self.types or walk.types[arn] in self.types)
        ]
        if not self.times and not self.properties:
            return of_types
        document = STORED.document if self.properties else null()
        query = select(STORED.arn, document).where(is_one_of(cx.db, STORED.arn, of_types), *self.times)
        there = {arn for arn, stored in cx.db.execute(query) if stored is None or self.has_one(orjson.loads(stored))}
        return [arn for arn in of_types if arn in there]

    def has_one(self, document: Mapping[str, Any]) -> bool:
        """Return whether an entity has one of the properties that are asked for, or none is."""
        of_entity = document.get("Properties", {})
        return not self.properties or any(of_entity.get(name) == value for name, value in self.properties)


@operation("QueryLineage", is_long=lambda _request: True)
def query_lineage(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of what is reached from an entity. ResourceNotFound for a start that is not there."""
    size = request.get("MaxResults", MOST_RESULTS)
    if size < 1:  # the model has no least; a page of none would never end
        raise errors.validation("MaxResults must be greater than or equal to 1.")
    binding = paging.binding_of("QueryLineage", request)
    mark = tuple(paging.read_token(cx, request["NextToken"], binding)) if "NextToken" in request else ()
    filters = Filters.of(request.get("Filters", {}))
    page = _along if request.get("StartArns") else _of_all
    places, types, edges = page(cx, request, filters, mark, size)
    vertices = [{"Arn": at[-1], "Type": types[at[-1]], "LineageType": SHOWN[path_of(at[-1])]} for at in places[:size]]
    answer: dict[str, Any] = {"Vertices": vertices, "Edges": edges}
    if len(places) > size:
        answer["NextToken"] = paging.write_token(cx, list(places[size - 1]), binding)
    return answer


def _along(
    cx: Context, request: Mapping[str, Any], filters: Filters, mark: Place, size: int
) -> tuple[list[Place], Mapping[str, str], list[dict[str, str]]]:
    """Walk from the start: one vertex more than the page, if there is one, their types, and the page's associations."""
    starts = {arn: type_of(arn, entity(cx, arn).document) for arn in request["StartArns"]}
    walk = Walk(cx, starts, request.get("Direction", "Both"), request.get("MaxDepth", MOST_DEPTH))
    has_edges = request.get("IncludeEdges", False)
    has_paths = has_edges and not filters.are_all
    shown: list[Place] = []
    for depth, level in walk.levels():
        shown += [(depth, arn) for arn in filters.selected(cx, walk, level)]
        if not has_paths and sum(at > mark for at in shown) > size:
            break
    if has_paths:
        leading = walk.leading_to(at[-1] for at in shown)
        shown = sorted((walk.depths[arn], arn) for arn in leading if path_of(arn) in SHOWN)
    places = [at for at in shown if at > mark][: size + 1]
    return places, walk.types, _edges(walk, shown, mark, places[:size]) if has_edges else []


def _edges(walk: Walk, shown: Sequence[Place], mark: Place, page: Sequence[Place]) -> list[dict[str, str]]:
    """Return the associations between what is shown, each on the page of the later of its ends."""
    places = {at[-1]: at for at in shown}
    edges = []
    for _, (source, destination, kind) in sorted(walk.edges.items()):
        if source in places and destination in places and page:
            later = max(places[source], places[destination])
            if mark < later <= page[-1]:
                edges.append({"SourceArn": source, "DestinationArn": destination})
                if kind:
                    edges[-1]["AssociationType"] = kind
    return edges


def _of_all(
    cx: Context, _request: Mapping[str, Any], filters: Filters, mark: Place, size: int
) -> tuple[list[Place], Mapping[str, str], list[dict[str, str]]]:
    """Filter all entities: one more than the page, if there is one, and their types."""
    places: list[Place] = []
    types: dict[str, str] = {}
    for kind in sorted(filters.nouns):
        after = mark[1:3] if mark and mark[0] == kind else (0.0, 0)
        while len(places) <= size and (not mark or kind >= mark[0]):
            stored = _scan(cx, filters, kind, after)
            for row_id, created, arn, document in stored:
                read = orjson.loads(document)
                if filters.has_one(read) and (not filters.types or type_of(arn, read) in filters.types):
                    places.append((kind, created, row_id, arn))
                    types[arn] = type_of(arn, read)
            if len(stored) < SCANNED:
                break
            after = stored[-1][1], stored[-1][0]
    return places[: size + 1], types, []


def _scan(cx: Context, filters: Filters, kind: str, after: Place) -> Sequence[Any]:
    own = (STORED.kind == kind, STORED.account == cx.account, STORED.region == cx.region)
    query = select(STORED.id, STORED.created, STORED.arn, STORED.document).where(
        *own, *filters.times, tuple_(STORED.created, STORED.id) > tuple_(*after)
    )
    return cx.db.execute(query.order_by(STORED.created, STORED.id).limit(SCANNED)).all()
