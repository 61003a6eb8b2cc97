"""How a job ended, as AWS words it. Pure: an exit goes in, statuses and a reason come out.

Source: developer guide "How Amazon SageMaker signals algorithm success and failure" (2026-11); FailureReason's classes
are AlgorithmError (the container), ClientError (the user's configuration or data), InternalServerError (us), CapacityError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.jobs.spec import Exit

FAILURE_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last status, the last secondary status (where a kind of job has such), and the reason (for Failed)."""

    status: str
    secondary: str
    reason: str = ""

    @classmethod
    def failed(cls, reason: str) -> Verdict:
        """Return the verdict of a job that failed for a reason."""
        return cls("Failed", "Failed", reason)

    @property
    def is_ours(self) -> bool:
        """Return whether the service failed and not the job: only then is it retried."""
        return self.reason.startswith("InternalServerError")


def verdict(end: Exit, stop_cause: str | None, failure: Callable[[int, bool], str]) -> Verdict:
    """Judge an exit.

    `stop_cause` is the secondary status a stop leads to (`Stopped`, `MaxRuntimeExceeded`, ...). `failure` words the reason
    of a container that failed, from its exit code and whether it lacked memory.
    """
    if stop_cause is not None:
        return Verdict("Stopped", stop_cause)
    if end.reason == "lost":
        return Verdict.failed(fitted(f"InternalServerError: {end.message}", ""))
    if end.reason == "start-failed":
        return Verdict.failed(f"{end.code or 'ClientError'}: {end.message}")
    if end.reason == "killed" and end.message:  # the supervisor ended it, and says why
        return Verdict.failed(fitted(end.message, ""))
    if end.ok:
        return Verdict("Completed", "Completed")
    return Verdict.failed(failure(*_failed_host(end)))


def _failed_host(end: Exit) -> tuple[int, bool]:
    """Return the code of the host that failed, and whether it lacked memory; others may have been ended because it did."""
    failed = [host for host in end.hosts.values() if host.code]
    cause = next((host for host in failed if host.signal is None or host.oom), failed[0] if failed else None)
    return (cause.code or 1, cause.oom) if cause is not None else (1, False)


def fitted(text: str, end: str) -> str:
    """Shorten a text so that it and its end keep to FailureReason's 1,024 characters."""
    return text[: FAILURE_CHARACTERS - len(end)] + end
