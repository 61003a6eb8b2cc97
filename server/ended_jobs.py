"""What ended last, of all kinds of work and all accounts: for `localmaker jobs --all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, or_, select

from backends.core.tables import resources
from backends.jobs import kinds

if TYPE_CHECKING:
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

MOST = 20


async def latest(kernel: Kernel) -> list[dict[str, Any]]:
    """Return them, the last one first; `seconds` from the start of its work (or its creation) to its end."""
    by_noun = {kind.noun: kind for kind in kinds.shown(kernel)}
    ended = or_(*(and_(resources.c.kind == noun, resources.c.status.in_(by_noun[noun].ended)) for noun in by_noun))
    query = select(resources).where(ended).order_by(resources.c.modified.desc(), resources.c.id.desc()).limit(MOST)

    def read(tx: Transaction) -> list[dict[str, Any]]:
        return [_entry(row, by_noun[row.kind]) for row in tx.connection.execute(query)]

    return await kernel.db.read(read)


def _entry(row: Any, kind: kinds.Shown) -> dict[str, Any]:
    document = orjson.loads(row.document)
    ended = document.get(kind.ended_member, row.modified)
    return {
        "name": row.key,
        "kind": row.kind,
        "arn": row.arn,
        "status": row.status,
        "ended": ended,
        "seconds": round(ended - document.get(kind.began_member, row.created), 1),
        "reason": document.get("FailureReason", ""),
    }
