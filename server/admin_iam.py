"""The admin API's page of IAM: which calls a role or user was seen to make, and the least policy that allows them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backends.aws.iam import calls

if TYPE_CHECKING:
    from fastapi import FastAPI

    from backends.core.kernel import Kernel


def add_to(app: FastAPI, kernel: Kernel) -> None:
    """Add the route."""

    @app.get("/_localmaker/iam/calls")
    async def recorded(principal: str, account: str = "000000000000", *, denied: bool = True) -> dict[str, Any]:
        """List what `role/Name` or `user/Name` called; `denied=false` leaves out what its policies do not allow."""
        await asyncio.to_thread(calls.flush, kernel)
        rows = await kernel.db.read(lambda tx: calls.recorded(tx, account, principal))
        kept = [row for row in rows if denied or not row["denied"]]
        shown = [{name: row[name] for name in ("action", "resource", "denied")} for row in kept]
        return {"iam": kernel.settings.iam, "calls": shown, "policy": calls.least_policy(kept) if kept else None}
