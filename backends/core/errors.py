"""AWS's errors, raised by code. One serializer per protocol (`server/protocol/`) turns them into bytes.

Codes and wordings: botocore's `sagemaker` model; which operation declares which code is in `api_specs.model`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class AwsError(Exception):
    """An answer that is an error: AWS's code, its sentence, the HTTP status and the members the model gives it."""

    def __init__(
        self, code: str, message: str = "", status: int = 400, members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})
        self.headers: dict[str, str] = {}  # S3 tells some things about an error in headers


def validation(message: str) -> AwsError:
    """Return the code for bad input, and for what is missing or duplicate among the older resources."""
    return AwsError("ValidationException", message)


def not_found(message: str = "Requested resource not found.") -> AwsError:
    """Return `ResourceNotFound`, as jobs and the newer resources answer."""
    return AwsError("ResourceNotFound", message)


def in_use(message: str) -> AwsError:
    """Return `ResourceInUse`: a duplicate job name, or a change while the resource is busy."""
    return AwsError("ResourceInUse", message)


def limit_exceeded(message: str) -> AwsError:
    """Return `ResourceLimitExceeded`."""
    return AwsError("ResourceLimitExceeded", message)


def conflict(message: str) -> AwsError:
    """Return `ConflictException`: somebody else changed the resource in between."""
    return AwsError("ConflictException", message)


def not_implemented(what: str) -> AwsError:
    """Return the one 5xx of this server: an operation or option that is not built yet, named in the ledger."""
    return AwsError(
        "NotImplemented", f"LocalMaker does not implement {what} yet (see api_specs/coverage.toml).", status=501
    )


def disk_full() -> AwsError:
    """Return the error of a full disk; nothing of the request was kept."""
    return limit_exceeded(
        "The disk that holds LocalMaker's data directory is full; nothing of this request was stored."
    )


def is_nul(error: BaseException) -> bool:
    """Return whether PostgreSQL was given text with a NUL in it, which it keeps in no column; SQLite does."""
    return type(error).__name__ == "DataError" and "cannot contain NUL" in str(error)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an exception (or what caused it) means that the disk is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        if "database or disk is full" in str(seen) or "No space left on device" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
