"""How many resources of a noun an account and region may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from backends.core import errors, rows
from backends.core.tables import resources

if TYPE_CHECKING:
    from backends.core.types import Context


def check(cx: Context, noun: str, quota: int) -> None:
    """Raise ResourceLimitExceeded where one more would be too many."""
    own = [resources.c[name] == value for name, value in rows.scope(cx, noun).items()]
    count = cx.db.execute(select(func.count()).select_from(resources).where(*own)).scalar_one()
    if count >= quota:  # Unverified: AWS's name of each limit
        raise errors.limit_exceeded(
            f"The account-level service limit 'Number of {noun} resources' is {quota}, with current "
            f"utilization of {count} and a request delta of 1. Please use AWS Service Quotas to request an increase."
        )
