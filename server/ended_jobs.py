"""The training and processing jobs that ended last, and the endpoints that failed, of all accounts: for `localmaker jobs --all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, or_, select

from backends.core.tables import resources

if TYPE_CHECKING:
    from backends.core.db import Transaction

MOST = 20
TIMES = {
    "TrainingJob": ("TrainingStartTime", "TrainingEndTime"),
    "ProcessingJob": ("ProcessingStartTime", "ProcessingEndTime"),
}
"""Kinds of jobs, and the members that tell when one began and ended."""
ENDED = or_(
    and_(resources.c.kind.in_(TIMES), resources.c.status.in_(("Completed", "Failed", "Stopped"))),
    and_(resources.c.kind == "Endpoint", resources.c.status == "Failed"),
)


def latest(tx: Transaction) -> list[dict[str, Any]]:
    """Return them, the last one first; `seconds` from the start of its work (or its creation) to its end."""
    query = select(resources).where(ENDED).order_by(resources.c.modified.desc(), resources.c.id.desc()).limit(MOST)
    return [_shown(row) for row in tx.connection.execute(query)]


def _shown(row: Any) -> dict[str, Any]:
    document = orjson.loads(row.document)
    began_member, ended_member = TIMES.get(row.kind, ("", ""))
    ended = document.get(ended_member, row.modified)
    return {
        "name": row.key,
        "kind": row.kind,
        "arn": row.arn,
        "status": row.status,
        "ended": ended,
        "seconds": round(ended - document.get(began_member, row.created), 1),
        "reason": document.get("FailureReason", ""),
    }
