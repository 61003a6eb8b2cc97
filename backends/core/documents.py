"""Documents of services other than SageMaker (alarms, filters): rows of `resources` that no model derives operations of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, delete, select, update

from backends.core import tags
from backends.core.dialects import begins, insert_or_update
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from backends.core.context import Context


@dataclass(frozen=True, slots=True)
class Document:
    """One document, in AWS's wire form, and where it stands."""

    id: int
    account: str
    region: str
    key: str
    arn: str
    status: str
    created: float
    version: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a kind; those of the caller's account and region, unless said otherwise."""

    kind: str

    def find(self, cx: Context, key: str) -> Document | None:
        """Read one by its key, or None."""
        row = cx.db.execute(select(resources).where(self._own(cx), resources.c.key == key)).first()
        return None if row is None else _document(row)

    def page(self, cx: Context, prefix: str = "", after: str | None = None, limit: int = -1) -> list[Document]:
        """Read those whose keys begin with a text, in the order of keys; `after`: from the next key on."""
        query = select(resources).where(self._own(cx), begins(resources.c.key, prefix)).order_by(resources.c.key)
        if after is not None:
            query = query.where(resources.c.key > after)
        return [_document(row) for row in cx.db.execute(query if limit < 0 else query.limit(limit))]

    def everywhere(self, cx: Context) -> list[Document]:
        """Read those of every account and region, for a loop."""
        return [_document(row) for row in cx.db.execute(select(resources).where(resources.c.kind == self.kind))]

    def put(self, cx: Context, key: str, arn: str, body: Mapping[str, Any], status: str = "") -> None:
        """Make one, or replace it whole but for the time of its making."""
        now = cx.clock.now()
        key_values = {"kind": self.kind, "account": cx.account, "region": cx.region, "key": key}
        written = {"arn": arn, "status": status, "modified": now, "document": orjson.dumps(body)}
        insert_or_update(cx.db, resources, key_values, written, {"created": now, "version": 1})

    def change(self, cx: Context, document: Document, body: Mapping[str, Any], status: str | None = None) -> bool:
        """Write a changed body; tell whether nobody else has changed the document since it was read."""
        values = {"document": orjson.dumps(body), "modified": cx.clock.now(), "version": document.version + 1}
        seen = (resources.c.id == document.id) & (resources.c.version == document.version)
        status = document.status if status is None else status
        return cx.db.execute(update(resources).where(seen).values(status=status, **values)).rowcount == 1

    def delete(self, cx: Context, document: Document) -> None:
        """Remove one with its tags."""
        cx.db.execute(delete(resources).where(resources.c.id == document.id))
        tags.remove_all(cx, document.arn)

    def _own(self, cx: Context) -> ColumnElement[bool]:
        table = resources.c
        return and_(table.kind == self.kind, table.account == cx.account, table.region == cx.region)


def _document(row: Any) -> Document:
    body = orjson.loads(row.document)
    return Document(row.id, row.account, row.region, row.key, row.arn, row.status, row.created, row.version, body)
