"""All that an account and region has of a noun, for what no index answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.core import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context
    from backends.core.rows import Row


def all_of(cx: Context, noun: str) -> Iterator[Row]:
    """Yield every row of a noun."""
    return map(rows.row_of, cx.db.execute(rows.ROW.where(rows.SCOPE), rows.scope(cx, noun)))
