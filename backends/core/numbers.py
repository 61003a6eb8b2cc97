"""Numbers that count up and never go back, each by a name of its own within an account and region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.core.dialects import insert_into
from backends.core.tables import counters

if TYPE_CHECKING:
    from backends.core.types import Context


def following(cx: Context, name: str) -> int:
    """Return the next number of a name, from 1; two transactions never get the same."""
    new = {"account": cx.account, "region": cx.region, "name": name, "value": 1}
    statement = insert_into(cx.db, counters).values(new)
    counted = statement.on_conflict_do_update(
        index_elements=["account", "region", "name"], set_={"value": counters.c.value + 1}
    )
    return int(cx.db.execute(counted.returning(counters.c.value)).scalar_one())
