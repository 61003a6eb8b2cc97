"""What nothing names any more goes: layers of deleted images, uploads that were given up, files without a row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select, true

from backends.aws.ecr import layers
from backends.aws.ecr.tables import ecr_contents, ecr_layers, ecr_uploads
from backends.core.loops import every
from backends.core.objects import orphans

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from backends.aws.ecr.scope import Repository
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

UNUSED_S = 3600.0
"""How long a layer stays that no image names: its image may still be on its way."""
UPLOAD_S = 86_400.0
"""How long an upload may take; Docker begins a new one with each push."""
BATCH = 500


def start(kernel: Kernel) -> None:
    """Look for files that no row names in a thread, while requests are already answered."""
    orphans.sweep_at_start(kernel, "ECR", remove_orphans)


def remove_orphans(kernel: Kernel, before: float) -> int:
    """Remove files of layers and uploads that no row names, from before that time (epoch seconds); count them."""
    files, removed = layers.files(kernel), 0
    begun = kernel.db.read_blocking(lambda tx: set(tx.connection.execute(select(ecr_uploads.c.id)).scalars()))
    for upload in files.uploads(before):
        if upload not in begun:
            files.abandon(upload)
            removed += 1
    return removed + orphans.remove_unnamed(kernel, files.blobs, before, _named)


def _named(tx: Transaction, blobs: list[str]) -> set[str]:
    return set(tx.connection.execute(select(ecr_layers.c.blob).where(ecr_layers.c.blob.in_(blobs))).scalars())


@every(60)
def remove_unused(kernel: Kernel) -> None:
    """Remove layers that no image has named for an hour, and uploads begun a day ago."""
    forget_unused(kernel, time.time())


def forget_unused(kernel: Kernel, now: float) -> None:
    """Do so as of a time (epoch seconds)."""
    blobs = kernel.db.write_blocking(lambda tx: _forget_layers(tx, _unused(now - UNUSED_S)))
    old = ecr_uploads.c.started < now - UPLOAD_S
    layers.files(kernel).remove(blobs, kernel.db.write_blocking(lambda tx: _forget_uploads(tx, old)))


def _unused(before: float) -> ColumnElement[bool]:
    a, b = ecr_layers.c, ecr_contents.c
    named = exists().where(
        b.account == a.account, b.region == a.region, b.repository == a.repository, b.part == a.digest
    )
    return (a.since < before) & ~named


def _forget_layers(tx: Transaction, which: ColumnElement[bool]) -> list[str]:
    """Remove rows of layers; give the files that no other row names."""
    gone = set(tx.connection.execute(delete(ecr_layers).where(which).returning(ecr_layers.c.blob)).scalars())
    unnamed: list[str] = []
    for first in range(0, len(gone), BATCH):
        some = sorted(gone)[first : first + BATCH]
        unnamed += set(some) - _named(tx, some)
    return unnamed


def _forget_uploads(tx: Transaction, which: ColumnElement[bool]) -> list[str]:
    return list(tx.connection.execute(delete(ecr_uploads).where(which).returning(ecr_uploads.c.id)).scalars())


def forget(tx: Transaction, repository: Repository) -> tuple[list[str], list[str]]:
    """Remove the layers and uploads of a repository; give the files of both, to remove after the commit."""
    uploads = _forget_uploads(tx, repository.rows(ecr_uploads))
    return _forget_layers(tx, repository.rows(ecr_layers)), uploads


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget an account's layers and uploads (None: all) with their files; the kernel forgets the other rows."""
    of_layers, of_uploads = (
        true() if account is None else table.c.account == account for table in (ecr_layers, ecr_uploads)
    )
    blobs = kernel.db.write_blocking(lambda tx: _forget_layers(tx, of_layers))
    layers.files(kernel).remove(blobs, kernel.db.write_blocking(lambda tx: _forget_uploads(tx, of_uploads)))
