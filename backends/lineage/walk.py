"""Walks along associations, level by level: what is reached from some entities, by which associations, and what leads where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from backends.core.dialects import is_one_of
from backends.lineage.tables import lineage_edges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from backends.core.context import Context

EDGE = lineage_edges.c
STEPS = {
    "Descendants": ((EDGE.source_arn, True),),
    "Ascendants": ((EDGE.destination_arn, False),),
    "Both": ((EDGE.source_arn, True), (EDGE.destination_arn, False)),
}
"""The end of an association that each direction looks for, and whether it is the source."""


class Walk:
    """What a walk has reached so far. `depths` and `types` are by ARN, `edges` by id: source, destination and type."""

    def __init__(self, cx: Context, starts: Mapping[str, str], direction: str, most_depth: int) -> None:
        self._cx, self._direction, self._most_depth = cx, direction, most_depth
        self.types = dict(starts)
        self.depths = dict.fromkeys(starts, 0)
        self.edges: dict[int, tuple[str, str, str]] = {}
        self._came_from: dict[str, set[str]] = {}

    def levels(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each depth with what is that far, in order of ARN. By then all associations between it and what is nearer are known."""
        depth, level = 0, sorted(self.depths)
        while level:
            further = sorted(self._expand(level, depth)) if depth < self._most_depth else []
            yield depth, level
            depth, level = depth + 1, further

    def _expand(self, level: list[str], depth: int) -> list[str]:
        """Take one step from each entity of a level; return those that were not reached before."""
        reached: list[str] = []
        for end, is_source in STEPS[self._direction]:
            query = select(
                EDGE.id, EDGE.source_arn, EDGE.destination_arn, EDGE.type, EDGE.source_type, EDGE.destination_type
            ).where(is_one_of(self._cx.db, end, level))
            for edge, source, destination, kind, source_type, destination_type in self._cx.db.execute(query).all():
                self.edges[edge] = (source, destination, kind)
                here, there = (source, destination) if is_source else (destination, source)
                if there not in self.depths:
                    self.depths[there] = depth + 1
                    self.types[there] = destination_type if is_source else source_type
                    reached.append(there)
                self._came_from.setdefault(there, set()).add(here)
        return reached

    def leading_to(self, arns: Iterable[str]) -> set[str]:
        """Return what is on a path from the start to any of the entities, these with it.

        In one direction a path is any; in both, where every step could be taken back, only a shortest one.
        """
        waiting = list(arns)
        kept = set(waiting)
        while waiting:
            there = waiting.pop()
            for here in self._came_from.get(there, set()) - kept:
                if self._direction != "Both" or self.depths[here] < self.depths[there]:
                    kept.add(here)
                    waiting.append(here)
        return kept
