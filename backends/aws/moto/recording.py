"""Which requests change moto, and how they are written down."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson
from sqlalchemy import delete, insert, select

from backends.aws.moto.tables import moto_requests
from backends.aws.moto.wsgi import MotoRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Select

    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

# Operations that read, by the verbs their names begin with; KMS's cryptography changes nothing either.
READING = (
    "Describe", "List", "Get", "Head", "Search", "BatchGet", "Query", "Scan", "Lookup", "Select", "Test", "Validate",
    "Estimate", "CheckIf", "CheckDomain", "Preview", "Simulate", "Filter", "Encrypt", "Decrypt", "GenerateDataKey",
    "GenerateMac", "GenerateRandom", "ReEncrypt", "Decode", "Discover",
)  # fmt: skip
READING_BY_NAME = frozenset({"Sign", "Verify", "VerifyMac", "CheckCapacity", "CheckSchemaVersionValidity"})
"""These read, and what begins with them may not: SignUp, SignalResource, VerifyEmailIdentity."""
CHANGING = frozenset({"GetId"})
"""Cognito's identity is made by who asks for it first."""
RUNS_SOMETHING = re.compile(
    r"/functions/[^/]+/(?:invocations|response-streaming-invocations|invoke-async/?)$|^/v1/submitjob$"
)
"""Paths of requests that run a container: a replay must not run it again, and forgets that it ran."""
SECRET_HEADERS = frozenset({"x-amz-security-token"})
PAGE = 500
LONG = 200


def operation_of(request: MotoRequest) -> str:
    """Name the operation of a JSON, CBOR or query request; empty for one that is told by its method and path."""
    target = request.headers.get("x-amz-target")
    if target is not None:
        return target.rpartition(".")[2]
    if "/operation/" in request.path:
        return request.path.rpartition("/operation/")[2]
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    text = request.body.decode("latin-1") if form else request.query
    return parse_qs(text).get("Action", [""])[0]


def changes(request: MotoRequest) -> bool:
    """Return whether a request may change moto."""
    name = operation_of(request)
    if name:
        return name in CHANGING or not (name in READING_BY_NAME or name.startswith(READING))
    return request.method not in {"GET", "HEAD", "OPTIONS"} and RUNS_SOMETHING.search(request.path) is None


def worth_keeping(request: MotoRequest, answer: bytes) -> bool:
    """Return whether a request that went well has changed moto: a ReceiveMessage without a message has not."""
    return operation_of(request) != "ReceiveMessage" or b"MessageId" in answer


def write(tx: Transaction, request: MotoRequest, now: float, seed: int, kept: bytes | None, *, pending: bool) -> None:
    """Write a request down."""
    headers = {name: value for name, value in request.headers.items() if name not in SECRET_HEADERS}
    row = {
        "account": request.account,
        "time": now,
        "seed": seed,
        "pending": pending,
        "head": orjson.dumps([request.method, request.path, request.query, headers]),
        "body": request.body,
        "kept": kept,
    }
    tx.connection.execute(insert(moto_requests), row)


def remove(tx: Transaction, row_id: int) -> None:
    """Remove a request that is answered."""
    tx.connection.execute(delete(moto_requests).where(moto_requests.c.id == row_id))


def request_of(row: Any) -> MotoRequest:
    """Read a request back."""
    method, path, query, headers = orjson.loads(row.head)
    return MotoRequest(method, path, query, headers, row.body, row.account)


def recorded(kernel: Kernel) -> Iterator[Any]:
    """Yield every recorded row in order, page by page."""
    after = 0
    while True:
        query = select(moto_requests).where(moto_requests.c.id > after, moto_requests.c.pending.is_(False))
        page = query.order_by(moto_requests.c.id).limit(PAGE)
        rows = kernel.db.read_blocking(partial(_rows, page))
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def is_long(tx: Transaction) -> bool:
    """Return whether a replay takes longer than a client should wait for its first answer."""
    query = select(moto_requests.c.id).order_by(moto_requests.c.id).offset(LONG).limit(1)
    return tx.connection.execute(query).first() is not None


def _rows(query: Select[Any], tx: Transaction) -> Sequence[Any]:
    return tx.connection.execute(query).all()


def pending(tx: Transaction) -> list[Any]:
    """Return what components want of moto and it has not answered, in order."""
    query = select(moto_requests).where(moto_requests.c.pending.is_(True)).order_by(moto_requests.c.id)
    return list(tx.connection.execute(query))
