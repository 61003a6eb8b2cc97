"""The FastAPI application behind the gateway: health, info, clock, reset."""

from __future__ import annotations

import asyncio
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from api_specs import model
from backends.core import events, reset
from backends.jobs import places, queue
from server import admin_iam

if TYPE_CHECKING:
    from backends.core.kernel import Kernel


class ClockRequest(BaseModel):
    """Move an account's clock: to an offset against real time, or forward by some seconds."""

    account: str = "000000000000"
    offset_s: float | None = None
    advance_s: float | None = None


class ResetRequest(BaseModel):
    """Forget one account, or (None) everything."""

    account: str | None = None


def same_site(request: Request) -> None:
    """Refuse what a page of another site sends: a browser names where it comes from."""
    origin = request.headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    if foreign or request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise HTTPException(403, "only pages of this server may ask for this")


def make_app(kernel: Kernel) -> FastAPI:
    """Build the admin API around a kernel."""
    app = FastAPI(title="LocalMaker", docs_url="/_localmaker/docs", openapi_url="/_localmaker/openapi.json")
    started = time.time()

    @app.get("/_localmaker/health")
    @app.get("/_localstack/health")
    async def health() -> dict[str, Any]:
        """Tell that the server is ready, which services it answers, where jobs run, and what is parked."""
        services = dict.fromkeys(sorted({service for service, _ in kernel.operations}), "running")
        return {
            "status": "ready",
            "services": services,
            "runner": await asyncio.to_thread(places.describe, kernel),
            "version": version("localmaker"),
            "versions": {"localmaker": version("localmaker"), "botocore": version("botocore")},
            "parked_events": await kernel.db.read(events.parked),
        }

    @app.get("/_localmaker/info")
    async def info() -> dict[str, Any]:
        """Tell what this installation is: settings, operations, rooms."""
        operations: dict[str, list[str]] = {}
        for service, name in sorted(kernel.operations):
            operations.setdefault(service, []).append(name)
        return {
            "installation": kernel.installation_id,
            "started": started,
            "python": platform.python_version(),
            "data_dir": str(kernel.settings.data_dir),
            "database": kernel.db.engine.dialect.name,
            "durability": kernel.settings.durability,
            "operations": operations,
            "sagemaker_operations_known": len(model.operations("sagemaker")),
            "endpoint_addresses": kernel.state.get("addresses", []),
        }

    @app.get("/_localmaker/jobs")
    async def jobs() -> dict[str, Any]:
        """List what is being driven: training jobs and endpoints, of all accounts."""
        return {"jobs": queue.of(kernel).overview()}

    @app.get("/_localmaker/clock")
    async def read_clock(account: str = "000000000000") -> dict[str, float]:
        """Read an account's clock."""
        return {"now": kernel.clocks.now(account), "offset_s": kernel.clocks.offset_s(account)}

    @app.post("/_localmaker/clock", dependencies=[Depends(same_site)])
    async def move_clock(request: ClockRequest) -> dict[str, float]:
        """Move an account's clock; everything that reads it sees the new time at once."""
        if (request.offset_s is None) == (request.advance_s is None):
            raise HTTPException(400, "give offset_s or advance_s")
        offset = request.offset_s
        if offset is None:
            offset = kernel.clocks.offset_s(request.account) + (request.advance_s or 0.0)
        await kernel.db.write(lambda tx: kernel.clocks.set_offset(tx, request.account, offset))
        kernel.changed.notify()
        return {"now": kernel.clocks.now(request.account), "offset_s": offset}

    @app.post("/_localmaker/reset", dependencies=[Depends(same_site)])
    async def forget(request: ResetRequest) -> dict[str, Any]:
        """Stop the jobs and endpoints of one account (or of all) and forget what it has."""
        await reset.reset(kernel, request.account)
        return {"reset": request.account or "all"}

    admin_iam.add_to(app, kernel)
    return app
