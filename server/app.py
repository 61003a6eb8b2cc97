"""The FastAPI application behind the gateway: health, info, clock, reset."""

from __future__ import annotations

import asyncio
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from pydantic import BaseModel

from api_specs import model
from backends.core import events, reset
from backends.core.listening import ADDRESSES
from backends.jobs import kinds, places, queue
from server import admin_iam, ended_jobs, init_hooks
from server.listener import authority

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


def make_app(kernel: Kernel) -> FastAPI:
    """Build the admin API around a kernel."""
    app = FastAPI(title="LocalMaker", docs_url="/_localmaker/docs", openapi_url="/_localmaker/openapi.json")
    _add_reading(app, kernel)
    _add_changing(app, kernel)
    admin_iam.add_to(app, kernel)
    return app


def _add_reading(app: FastAPI, kernel: Kernel) -> None:
    started = time.time()

    @app.get("/_localmaker/health")
    @app.get("/_localstack/health")
    async def health() -> dict[str, Any]:
        """Return that the server is ready, which services it answers, where jobs run, and what is parked."""
        services = dict.fromkeys(sorted({service for service, _ in kernel.operations}), "running")
        return {
            "status": "ready",
            "services": services,
            "runner": await asyncio.to_thread(places.describe, kernel),
            "sandbox_weaknesses": await asyncio.to_thread(places.weaknesses, kernel),
            "version": version("localmaker"),
            "versions": {"localmaker": version("localmaker"), "botocore": version("botocore")},
            "parked_events": await kernel.db.read(events.parked),
            "init": {"completed": init_hooks.of(kernel).completed, "failed": init_hooks.of(kernel).failed},
        }

    @app.get("/_localmaker/init")
    @app.get("/_localstack/init")
    async def init() -> dict[str, Any]:
        """Return which init scripts there are, what became of each, and whether all have ended."""
        return init_hooks.of(kernel).shown()

    @app.get("/_localmaker/info")
    async def info() -> dict[str, Any]:
        """Return what this installation is: settings, operations, components."""
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
            "endpoint_addresses": ADDRESSES.of(kernel),
            "log_groups": [kind.log_group for kind in kinds.shown(kernel)],
        }

    @app.get("/_localmaker/ca.pem", response_class=FileResponse)
    async def certificate() -> FileResponse:
        """Return the certificate of this installation's CA, for clients on other machines or outside of a container."""
        path = await asyncio.to_thread(authority.ensure, kernel.settings.data_dir)
        return FileResponse(path, media_type="application/x-pem-file")

    @app.get("/_localmaker/jobs")
    async def jobs(*, ended: bool = False) -> dict[str, Any]:
        """List what is being driven, of all kinds and accounts; `ended`: and what ended last."""
        listed: dict[str, Any] = {"jobs": queue.DISPATCHER.of(kernel).overview()}
        return listed | {"ended": await ended_jobs.latest(kernel)} if ended else listed

    @app.get("/_localmaker/clock")
    async def read_clock(account: str = "000000000000") -> dict[str, float]:
        """Read an account's clock."""
        return {"now": kernel.clocks.now(account), "offset_s": kernel.clocks.offset_s(account)}


def _add_changing(app: FastAPI, kernel: Kernel) -> None:
    @app.post("/_localmaker/clock")
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

    @app.post("/_localmaker/events/retry")
    async def retry_events() -> dict[str, int]:
        """Deliver what was parked once more."""
        count = await kernel.db.write(events.retry)
        kernel.deliverer.wake()
        return {"retried": count}

    @app.post("/_localmaker/reset")
    async def forget(request: ResetRequest) -> dict[str, Any]:
        """Stop the jobs and endpoints of one account (or of all) and forget what it has."""
        await reset.reset(kernel, request.account)
        return {"reset": request.account or "all"}
