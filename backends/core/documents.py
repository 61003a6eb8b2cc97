"""Documents of services other than SageMaker (alarms, filters): rows of `resources` that no model derives operations of.

They are no nouns of the model and need no event: a document is put, changed and deleted as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_

from backends.core import rows
from backends.core.dialects import begins, insert_or_update
from backends.core.errors import AwsError
from backends.core.search.facets import Indexed
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from backends.core.rows import Row
    from backends.core.types import Context

NO_FACETS = Indexed()


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a kind; those of the caller's account and region, unless said otherwise."""

    kind: str

    def find(self, cx: Context, key: str) -> Row | None:
        """Read one by its key, or None."""
        return rows.find(cx, self.kind, key)

    def page(self, cx: Context, prefix: str = "", after: str | None = None, limit: int = -1) -> list[Row]:
        """Read those whose keys begin with a text, in the order of keys; `after`: from the next key on."""
        query = rows.ROW.where(self._own(cx), begins(resources.c.key, prefix)).order_by(resources.c.key)
        if after is not None:
            query = query.where(resources.c.key > after)
        return [rows.row_of(row) for row in cx.db.execute(query if limit < 0 else query.limit(limit))]

    def everywhere(self, cx: Context) -> list[Row]:
        """Read those of every account and region, for a loop."""
        return [rows.row_of(row) for row in cx.db.execute(rows.ROW.where(resources.c.kind == self.kind))]

    def put(self, cx: Context, key: str, arn: str, document: Mapping[str, Any], status: str = "") -> None:
        """Make one, or replace it whole but for the time of its making."""
        now = cx.clock.now()
        written = {"arn": arn, "status": status, "modified": now, "document": orjson.dumps(document)}
        insert_or_update(cx.db, resources, rows.scope(cx, self.kind, key=key), written, {"created": now, "version": 1})

    def change(self, cx: Context, row: Row, document: Mapping[str, Any], status: str | None = None) -> bool:
        """Write a changed document; return whether nobody else has changed it since it was read."""
        new = replace(row, document=dict(document), status=row.status if status is None else status)
        try:
            rows.update_row(cx, row, new, NO_FACETS)
        except AwsError:  # ConflictException
            return False
        return True

    def delete(self, cx: Context, row: Row) -> None:
        """Remove one with its tags."""
        rows.delete_row(cx, row, NO_FACETS)

    def _own(self, cx: Context) -> ColumnElement[bool]:
        return and_(*(resources.c[name] == value for name, value in rows.scope(cx, self.kind).items()))
