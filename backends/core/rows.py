"""The rows of `resources`: how one is read, written, changed and removed. What they mean is `resource.py`'s and `documents.py`'s."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql

from backends.core import errors, tags
from backends.core.dialects import is_below
from backends.core.names import index as names
from backends.core.prepared import Prepared
from backends.core.search import facets
from backends.core.tables import facets as facet_rows
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.search.facets import Indexed
    from backends.core.types import Context

SCOPE = (
    (resources.c.kind == bindparam("kind"))
    & (resources.c.account == bindparam("account"))
    & (resources.c.region == bindparam("region"))
)
ROW = select(
    resources.c.id,
    resources.c.key,
    resources.c.arn,
    resources.c.status,
    resources.c.created,
    resources.c.version,
    resources.c.document,
    resources.c.hidden,
    resources.c.account,
    resources.c.region,
    resources.c.kind,
)
_BY_KEY = Prepared(ROW.where(SCOPE, resources.c.key == bindparam("key")))
_DOCUMENT = Prepared(select(resources.c.document).where(SCOPE, resources.c.key == bindparam("key")))
# By ARN alone, which names account and region: given those too, SQLite walks all of the account's rows instead.
_BY_ARN = Prepared(ROW.where(resources.c.arn == bindparam("arn")))
_STORED = ("kind", "account", "region", "key", "arn", "status", "created", "modified", "version", "document", "hidden")
_INSERT = Prepared(insert(resources).returning(resources.c.id), _STORED)
# On PostgreSQL a name can be taken between check and insert; asked so, it waits for the other to commit or to give up.
_INSERT_SHARED = Prepared(postgresql.insert(resources).on_conflict_do_nothing().returning(resources.c.id))
_UPDATE = Prepared(
    update(resources)
    .where(resources.c.id == bindparam("row_id"), resources.c.version == bindparam("seen"))
    .returning(resources.c.id),
    ("document", "hidden", "status", "modified", "version"),
)
_DELETE = Prepared(delete(resources).where(resources.c.id == bindparam("row_id")))


@dataclass(frozen=True, slots=True)
class Row:
    """One stored resource. `document` is what Describe answers; `hidden` is the component's own."""

    id: int
    key: str
    arn: str
    status: str
    created: float
    version: int
    document: dict[str, Any]
    hidden: dict[str, Any] = field(default_factory=dict)
    account: str = ""
    region: str = ""


def scope(cx: Context, kind: str, **more: Any) -> dict[str, Any]:
    """Return the values of a kind's rows in the caller's account and region."""
    return {"kind": kind, "account": cx.account, "region": cx.region, **more}


def find(cx: Context, kind: str, key: str) -> Row | None:
    """Read a row by its key, or None."""
    stored = _BY_KEY.row(cx.transaction, scope(cx, kind, key=key))
    return row_of(stored) if stored is not None else None


def find_arn(cx: Context, kind: str, arn: str) -> Row | None:
    """Read a row by its ARN, or None; another account's or region's is none."""
    if arn.split(":", 5)[3:5] != [cx.region, cx.account]:
        return None
    stored = _BY_ARN.rows(cx.transaction, {"arn": arn})
    return next((row_of(each) for each in stored if each[-1] == kind), None)


def document_bytes(cx: Context, kind: str, key: str) -> bytes | None:
    """Read a document as it is stored, or None."""
    stored = _DOCUMENT.row(cx.transaction, scope(cx, kind, key=key))
    return None if stored is None else stored[0]


def first_with(cx: Context, kind: str, path: str, value: str) -> Row | None:
    """Read the first row of a kind that has a value at a path that is a facet of it, or None."""
    is_there = (facet_rows.c.path == path) & (facet_rows.c.text == facets.kept_text(value))
    having = select(facet_rows.c.resource_id).where(is_there)
    query = ROW.where(SCOPE, resources.c.id.in_(having)).order_by(resources.c.id).limit(1)
    stored = cx.db.execute(query, scope(cx, kind)).first()
    return row_of(stored) if stored is not None else None


def children(cx: Context, kind: str, parent_key: str, *, newest_first: bool = False, limit: int = -1) -> Sequence[Row]:
    """Read the rows of a kind whose keys begin with another's, in the order they were made."""
    order = resources.c.id.desc() if newest_first else resources.c.id
    query = ROW.where(SCOPE, is_below(resources.c.key, parent_key)).order_by(order)
    stored = cx.db.execute(query if limit < 0 else query.limit(limit), scope(cx, kind))
    return [row_of(each) for each in stored]


def insert_row(cx: Context, kind: str, row: Row, indexed: Indexed) -> Row | None:
    """Store a new row with its facets; None where another transaction has taken the key since it was looked for."""
    stored = scope(cx, kind, key=row.key) | {
        "arn": row.arn,
        "status": row.status,
        "created": row.created,
        "modified": row.created,
        "version": 1,
        "document": orjson.dumps(row.document),
        "hidden": orjson.dumps(row.hidden) if row.hidden else None,
    }
    statement = _INSERT if cx.transaction.driver is not None else _INSERT_SHARED
    made = statement.row(cx.transaction, stored)
    if made is None:
        return None
    names.inserted(cx, made[0])
    if indexed.patterns:
        facets.store(cx.transaction, made[0], {}, indexed.facets_of(row.document))
    return Row(made[0], row.key, row.arn, row.status, row.created, 1, row.document, row.hidden)


def update_row(cx: Context, row: Row, new: Row, indexed: Indexed) -> Row:
    """Write a changed row; raise ConflictException when somebody else changed it since it was read."""
    values = {
        "row_id": row.id,
        "seen": row.version,
        "document": orjson.dumps(new.document),
        "hidden": orjson.dumps(new.hidden) if new.hidden else None,
        "status": new.status,
        "modified": cx.clock.now(),
        "version": row.version + 1,
    }
    if _UPDATE.row(cx.transaction, values) is None:
        raise errors.conflict(f"{row.arn} was changed by another request; try again.")
    if indexed.patterns:
        facets.store(cx.transaction, row.id, indexed.facets_of(row.document), indexed.facets_of(new.document))
    return replace(new, version=row.version + 1)


def delete_row(cx: Context, row: Row, indexed: Indexed) -> None:
    """Remove a row, its facets and its tags."""
    _DELETE.run(cx.transaction, {"row_id": row.id})
    if indexed.patterns:
        facets.store(cx.transaction, row.id, indexed.facets_of(row.document), {})
    tags.remove_all(cx, row.arn)


def row_of(stored: Any) -> Row:
    """Read what the statements of this module select."""
    row_id, key, arn, status, created, version, document, hidden, account, region, _kind = stored
    hidden = orjson.loads(hidden) if hidden else {}
    return Row(row_id, key, arn, status, created, version, orjson.loads(document), hidden, account, region)
