"""Which groups and streams are the caller's, and the errors of CloudWatch Logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from backends.core import arn as arns
from backends.core import errors
from backends.core.tables import log_groups, log_streams

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.core.context import Context

MOST = 2**63 - 1  # a long of AWS's, and an integer of both databases


def groups_of(cx: Context) -> ColumnElement[bool]:
    """Return the condition of the caller's groups."""
    return and_(log_groups.c.account == cx.account, log_groups.c.region == cx.region)


def streams_of(cx: Context, group: str) -> ColumnElement[bool]:
    """Return the condition of the streams of one of the caller's groups."""
    is_own = (log_streams.c.account == cx.account) & (log_streams.c.region == cx.region)
    return and_(is_own, log_streams.c.group_name == group)


def group(cx: Context, name: str) -> Any:
    """Read a group's row, or None."""
    return cx.db.execute(select(log_groups).where(groups_of(cx), log_groups.c.name == name)).first()


def stream(cx: Context, group: str, name: str) -> Any:
    """Read a stream's row, or None."""
    return cx.db.execute(select(log_streams).where(streams_of(cx, group), log_streams.c.name == name)).first()


def existing_group(cx: Context, request: dict[str, Any]) -> str:
    """Return the name of the group that a request names, by name or ARN; ResourceNotFoundException when there is none."""
    identifier = request.get("logGroupName") or request.get("logGroupIdentifier", "")
    parsed = arns.parse(identifier)
    name = parsed.resource.removeprefix("log-group:").removesuffix(":*") if parsed is not None else identifier
    if group(cx, name) is None:
        raise missing("The specified log group does not exist.")
    return name


def existing_stream(cx: Context, request: dict[str, Any]) -> Any:
    """Read the stream that a request names; ResourceNotFoundException when there is none."""
    row = stream(cx, existing_group(cx, request), request["logStreamName"])
    if row is None:
        raise missing("The specified log stream does not exist.")
    return row


def number(digits: str) -> int:
    """Read a number of a token; InvalidParameterException for what is none, or none that the database takes."""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and int(digits) <= MOST):
        raise invalid("The specified nextToken is invalid.")
    return int(digits)


def missing(message: str) -> errors.AwsError:
    """Return ResourceNotFoundException."""
    return errors.AwsError("ResourceNotFoundException", message)


def exists(message: str) -> errors.AwsError:
    """Return ResourceAlreadyExistsException."""
    return errors.AwsError("ResourceAlreadyExistsException", message)


def invalid(message: str) -> errors.AwsError:
    """Return InvalidParameterException."""
    return errors.AwsError("InvalidParameterException", message)
