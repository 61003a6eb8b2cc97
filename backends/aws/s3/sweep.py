"""What keeps disk and index in step: garbage is removed by a loop, orphans of a crash at start, an account by reset."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from backends.core.loops import every
from backends.core.objects import orphans
from backends.core.objects.tables import buckets, garbage, objects, parts, uploads

if TYPE_CHECKING:
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

KEEP_S = 60.0
"""How long a blob outlives its row: a copy that has read the row must still find the file."""
BATCH = 500


def start(kernel: Kernel) -> None:
    """Look for orphans in a thread, while requests are already answered."""
    orphans.sweep_at_start(kernel, "S3", remove_orphans)


def remove_orphans(kernel: Kernel, before: float) -> int:
    """Remove temporary files, and blobs that no row names, from before that time (epoch seconds); count the blobs."""
    kernel.objects.blobs.sweep_temporary(before)
    return orphans.remove_unnamed(kernel, kernel.objects.blobs, before, _named)


def _named(tx: Transaction, blobs: list[str]) -> set[str]:
    named: set[str] = set()
    for column in (objects.c.blob, parts.c.blob, garbage.c.blob):
        named |= set(tx.connection.execute(select(column).where(column.in_(blobs))).scalars())
    return named


@every(20)
def remove_garbage(kernel: Kernel) -> None:
    """Remove the files of blobs that nothing has named for a minute."""
    old = select(garbage.c.blob).where(garbage.c.since < time.time() - KEEP_S).limit(BATCH)
    while names := kernel.db.read_blocking(lambda tx: tx.connection.execute(old).scalars().all()):
        for name in names:
            kernel.objects.blobs.remove(name)
        gone = delete(garbage).where(garbage.c.blob.in_(names))
        kernel.db.write_blocking(lambda tx, gone=gone: tx.connection.execute(gone) and None)  # type: ignore[misc]


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget the buckets of an account (None: all) and what is in them; their files go at once."""
    for blob in kernel.db.write_blocking(lambda tx: _forget(tx, account)):
        kernel.objects.blobs.remove(blob)


def _forget(tx: Transaction, account: str | None) -> list[str]:
    is_own = select(buckets.c.name)
    if account is not None:
        is_own = is_own.where(buckets.c.account == account)
    theirs = select(uploads.c.upload_id).where(uploads.c.bucket.in_(is_own))
    gone = [
        *tx.connection.execute(delete(parts).where(parts.c.upload_id.in_(theirs)).returning(parts.c.blob)).scalars(),
        *tx.connection.execute(delete(objects).where(objects.c.bucket.in_(is_own)).returning(objects.c.blob)).scalars(),
    ]
    tx.connection.execute(delete(uploads).where(uploads.c.bucket.in_(is_own)))
    tx.connection.execute(delete(buckets).where(buckets.c.name.in_(is_own)))
    if account is None:
        gone += tx.connection.execute(delete(garbage).returning(garbage.c.blob)).scalars()
    return [blob for blob in gone if blob is not None]
