"""Services that moto answered for in an older version and that are ours now: what it had recorded of them is done again by ours, once.

What was promised to their targets meanwhile is promised by ours. Operations that we do not have stay recorded.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from sqlalchemy import select

from backends.aws.moto import recording
from backends.aws.moto.tables import moto_requests
from backends.core import other_services
from backends.core.dialects import insert_or_update
from backends.core.errors import AwsError
from backends.core.tables import installation

if TYPE_CHECKING:
    from backends.aws.moto.wsgi import MotoRequest
    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
MARK, SERVICES = "moto.handed_over", "events scheduler"
PATHS = (
    (
        re.compile(r"/schedules/([^/]+)$"),
        {"POST": "CreateSchedule", "PUT": "UpdateSchedule", "DELETE": "DeleteSchedule"},
    ),
    (re.compile(r"/schedule-groups/([^/]+)$"), {"POST": "CreateScheduleGroup", "DELETE": "DeleteScheduleGroup"}),
    (re.compile(r"/tags/(.+)$"), {"POST": "TagResource", "DELETE": "UntagResource"}),
)
"""Scheduler's paths, which say the operation; the name, or the ARN, is a member."""


def hand_over(kernel: Kernel) -> None:
    """Do what is recorded, unless that has been done."""
    kernel.db.write_blocking(lambda tx: _hand_over(kernel, tx))


def _hand_over(kernel: Kernel, tx: Transaction) -> None:
    done = tx.connection.execute(select(installation.c.value).where(installation.c.name == MARK)).scalar()
    if done == SERVICES:
        return
    for row in tx.connection.execute(select(moto_requests).order_by(moto_requests.c.id)).all():
        request = recording.request_of(row)
        service, operation, given = _read(request)
        if (service, operation) not in kernel.operations:
            continue
        scope = request.headers.get("authorization", "").partition("Credential=")[2].split("/")
        cx = kernel.context(row.account, scope[2] if len(scope) > 2 else "us-east-1", tx=tx)
        try:
            _do(cx, service, operation, given, is_pending=row.pending)
        except AwsError as error:
            log.warning("%s:%s of an older version could not be done again: %s", service, operation, error)
        recording.remove(tx, row.id)
    insert_or_update(tx.connection, installation, {"name": MARK}, {"value": SERVICES})


def _do(cx: Context, service: str, operation: str, given: dict[str, Any], *, is_pending: bool) -> None:
    if operation != "PutEvents":
        cx.call(operation, given, service)
        return
    for entry in given["Entries"] if is_pending else ():
        resources = entry.get("Resources", [])
        other_services.PUBLISH.of(cx.kernel)(
            cx, entry["Source"], entry["DetailType"], json.loads(entry["Detail"]), resources
        )


def _read(request: MotoRequest) -> tuple[str, str, dict[str, Any]]:
    """Return the service, operation and parameters of a request to one of the services; empty texts for any other."""
    target = request.headers.get("x-amz-target", "")
    if target.startswith("AWSEvents."):
        return "events", target.partition(".")[2], json.loads(request.body or b"{}")
    if "/scheduler/aws4_request" not in request.headers.get("authorization", ""):
        return "", "", {}
    for path, operations in PATHS:
        if (match := path.search(request.path)) is not None and request.method in operations:
            given = json.loads(request.body or b"{}")
            query = [(name, value) for name, value in parse_qsl(request.query) if name != "clientToken"]
            given |= {"GroupName" if name == "groupName" else name: value for name, value in query if name != "TagKeys"}
            if keys := [value for name, value in query if name == "TagKeys"]:
                given["TagKeys"] = keys
            given["ResourceArn" if "/tags/" in request.path else "Name"] = unquote(match[1])
            return "scheduler", operations[request.method], given
    return "", "", {}
