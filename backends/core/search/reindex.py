"""Write the facets of what is stored anew where what is indexed has changed since: another version, another declaration."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, select

from backends.core.dialects import insert_or_update
from backends.core.search import facets
from backends.core.tables import facets as facet_rows
from backends.core.tables import installation, resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.db import Transaction
    from backends.core.resource import Resource

FORM = 3
"""The number of the form in which facets are written; another one writes all of them anew."""
BATCH = 1000


def run(tx: Transaction, declared: Iterable[Resource], known: Mapping[str, str]) -> None:
    """Index every kind whose declaration differs from the one that its rows were written under."""
    for resource in declared:
        name, mark = f"facets:{resource.noun}", _mark(resource)
        if known.get(name, "") == mark or (name not in known and not resource.facets.patterns):
            continue
        _index(tx, resource)
        insert_or_update(tx.connection, installation, {"name": name}, {"value": mark})


def _mark(resource: Resource) -> str:
    indexed = resource.facets
    said = [FORM, sorted(indexed.patterns), sorted(indexed.columns), getattr(indexed.derived, "__qualname__", "")]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


def _index(tx: Transaction, resource: Resource) -> None:
    ids = select(resources.c.id).where(resources.c.kind == resource.noun)
    tx.connection.execute(delete(facet_rows).where(facet_rows.c.resource_id.in_(ids)))
    last = 0
    while True:
        query = (
            select(resources.c.id, resources.c.document)
            .where(resources.c.kind == resource.noun, resources.c.id > last)
            .order_by(resources.c.id)
            .limit(BATCH)
        )
        rows: list[Any] = list(tx.connection.execute(query))
        if not rows:
            return
        for row in rows:
            facets.store(tx, row.id, {}, resource.facets.facets_of(orjson.loads(row.document)))
        last = rows[-1].id
