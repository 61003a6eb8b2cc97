"""What a request to moto has made outside of moto before it is recorded: after a crash no stack knows it, so it goes again."""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from api_specs import model
from backends.aws.moto import journal
from backends.aws.moto.stack_properties import TOKENS
from backends.core import errors
from backends.core.context import DEFAULT_REGION
from backends.core.documents import Documents
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel
    from backends.core.rows import Row

log = logging.getLogger(__name__)
UNFINISHED = Documents("aws:cloudformation:unfinished")
"""What the requests that moto answers now have made, with what deletes it."""


def deletion_of(noun: str, known: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the request that deletes what was made; None where nothing deletes it."""
    if not model.has_operation(f"Delete{noun}"):
        return None
    shape = model.operation(f"Delete{noun}").input_shape
    wanted = {*shape.required_members, *identity} & set(shape.members)
    return {member: value for member, value in {**known, **identity}.items() if member in wanted}


def write_down(inside: Context, noun: str, known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Write down how to delete what is made in this transaction: a crash before its request is recorded leaves nobody who knows it."""
    opened, deletion = journal.current(), deletion_of(noun, known, identity)
    if deletion is not None:
        opened.made += 1
        there = inside.kernel.context(inside.account, DEFAULT_REGION, tx=inside.tx)
        entry = {"operation": f"Delete{noun}", "request": deletion, "region": inside.region}
        UNFINISHED.put(there, f"{opened.id}/{opened.made:06}", f"{opened.id}/{opened.made}", entry)


def finish(kernel: Kernel, account: str, journal_id: str, tx: Transaction) -> None:
    """Forget what was written down of a request that is recorded in this transaction."""
    cx = kernel.context(account, DEFAULT_REGION, tx=tx)
    for row in UNFINISHED.page(cx, prefix=f"{journal_id}/"):
        UNFINISHED.delete(cx, row)


def unfinished(tx: Transaction, kernel: Kernel) -> list[tuple[str, Row]]:
    """Return what requests have made that a crash cut off, with its account; the last one first."""
    made = UNFINISHED.everywhere(kernel.context("", DEFAULT_REGION, tx=tx))
    accounts = dict(
        tx.connection.execute(
            select(resources.c.id, resources.c.account).where(resources.c.kind == UNFINISHED.kind)
        ).all()
    )
    return [(accounts[row.id], row) for row in sorted(made, key=lambda row: row.key, reverse=True)]


def unmake(kernel: Kernel) -> None:
    """Delete what requests have made that a crash cut off."""
    for account, row in kernel.db.read_blocking(lambda tx: unfinished(tx, kernel)):
        entry = row.document
        try:
            kernel.context(account, entry["region"]).write(partial(_unmake, entry))
        except errors.AwsError as error:
            log.warning("what a stack had made before a crash stays: %s", error.message)
        kernel.context(account, DEFAULT_REGION).write(lambda cx, row=row: UNFINISHED.delete(cx, row))  # type: ignore[misc]


def _unmake(entry: Mapping[str, Any], cx: Context) -> None:
    tokens = TOKENS & set(model.operation(entry["operation"]).input_shape.required_members)
    cx.call(entry["operation"], {**entry["request"], **dict.fromkeys(tokens, uuid.uuid4().hex)})
