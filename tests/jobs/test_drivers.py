"""What a job comes to by its resource's words, where its component says no more than how it runs."""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from backends.core.kernel import Kernel
from backends.core.lifecycle import transition
from backends.core.resource import resource
from backends.core.settings import Settings
from backends.core.tables import jobs
from backends.jobs import dispatcher, queue
from backends.jobs.admission import ResourceRequest
from backends.jobs.drivers import drives, end
from backends.jobs.states import JOB_STATES

if TYPE_CHECKING:
    from pathlib import Path

    from backends.core.context import Context
    from backends.jobs.run import Run

JOB = resource("ProcessingJob", arn_path="processing-job", status_member="ProcessingJobStatus", machine=JOB_STATES)


def module(what: str) -> ModuleType:
    """Return a component whose jobs raise, ask for more than there is, or end once they are stopped."""
    made = ModuleType("toy")

    def drive(run: Run) -> None:
        if what == "raises":
            raise OSError("no space")
        while (row := run.find(JOB)) is not None and row.status == "InProgress":
            run.was_notified()
            run.wait(5)
        end(run, JOB, "completed", "too late")

    made.drive = drives("toy", JOB, request=lambda _: ResourceRequest(1, 99 if what == "is too large" else 0))(drive)  # type: ignore[attr-defined]
    drive.__module__ = made.__name__
    return made


@pytest.mark.parametrize(
    ("what", "last", "reason"),
    [
        ("raises", "Failed", "InternalServerError: OSError: no space"),
        ("is too large", "Failed", "CapacityError: the job asks for 99 GPU(s), and this machine has 0."),
        ("ends after its stop", "Stopped", ""),
        ("is stopped while it waits", "Stopped", ""),
        ("is deleted", "", ""),
    ],
)
def test_a_job_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, last: str, reason: str) -> None:
    monkeypatch.setattr(dispatcher, "RETRY_S", 0.0)
    monkeypatch.setattr("backends.jobs.machine.gpu_indexes", lambda: ())

    async def main() -> None:
        kernel = Kernel(Settings.read({"LOCALMAKER_MAX_JOBS": "1"}, data_dir=tmp_path), [queue, module(what)])
        kernel.open()
        await kernel.start()
        cx = kernel.context("111122223333", "us-east-1")

        def create(inside: Context, name: str) -> None:
            JOB.insert(inside, name, {"ProcessingJobName": name}, status="InProgress")

        def job(inside: Context) -> Any:
            return JOB.find(inside, "j")

        async def until(count: int, status: str) -> None:
            """Wait until so many jobs are queued or run, and the last one has a status."""
            query = select(func.count()).select_from(jobs)
            async with asyncio.timeout(20):
                while True:
                    row = await cx.read(job)
                    queued = await cx.read(lambda inside: inside.db.execute(query).scalar_one())
                    if (queued, row.status if row is not None else "") == (count, status):
                        return
                    await asyncio.sleep(0.01)

        if what == "is stopped while it waits":
            await cx.transact(lambda inside: create(inside, "first"))
        await cx.transact(lambda inside: create(inside, "j"))
        await kernel.listening()
        expected = 2 if what == "is stopped while it waits" else 1
        if what not in {"raises", "is too large"}:
            await until(expected, "InProgress")
            if what == "is deleted":
                await cx.transact(lambda inside: JOB.delete(inside, job(inside)))
            else:
                await cx.transact(lambda inside: transition(inside, JOB, job(inside), "Stopping"))
        await until(expected - 1, last)
        row = await cx.read(job)
        assert (row.document.get("FailureReason", "") if row is not None else "") == reason
        await kernel.stop()

    asyncio.run(main())
