"""Directories of a job that are mirrored to S3 while it runs: checkpoints, and outputs that are uploaded continuously.

A job's mirrors are numbered host by host, and within a host in the order of their prefixes.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING

from backends.core import errors
from backends.core.objects import parse_uri, role_access
from backends.jobs.artifacts import key_of
from backends.jobs.spec import Sync

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backends.core.context import Context
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Change, Handle, Runner
    from backends.jobs.spec import HostSpec

log = logging.getLogger(__name__)
BATCH = 200


def sync_of(host: HostSpec, local: Path, number: int = 0) -> Sync:
    """Return the mirror of a directory of a host: the host's `number`-th."""
    return Sync(local, _seen(host.opt_ml.parent, number))


def _seen(directory: Path, number: int) -> Path:
    """Return the server's copy of a mirrored directory, of which objects are made."""
    return directory / f"mirrored-{number}"


def carry(run: Run, cx: Context, runner: Runner, handle: Handle, hosts: Sequence[str], uris: Sequence[str]) -> None:
    """Put what hosts wrote or deleted since the last call into S3; the place reached is saved after the objects.

    `hosts`: their names; `uris`: the prefixes of each host's mirrors. AwsError where something cannot be stored.
    """
    mirrors = [
        (_seen(handle.directory / host, number), *parse_uri(f"{uri.rstrip('/')}/"))
        for host in hosts
        for number, uri in enumerate(uris)
    ]
    while True:
        changes = list(islice(runner.changes(handle, run.state.get("change_offset", 0)), BATCH))
        if not changes:
            return
        for change in changes:
            seen, bucket, prefix = mirrors[change.sync]
            try:
                key = key_of(f"{prefix}{change.path}")
            except errors.AwsError as error:  # a name that no object can have
                log.warning("%s: a mirrored file is left out: %s", run.arn, error.message)
                continue
            _apply(cx, bucket, key, change, seen / change.path)
        run.save(change_offset=changes[-1].offset)


def _delete(cx: Context, bucket: str, key: str) -> None:
    role_access.check(cx, bucket, "s3:DeleteObject", key)
    cx.objects.delete(cx, bucket, key)


def _apply(cx: Context, bucket: str, key: str, change: Change, path: Path) -> None:
    if change.kind == "delete":
        cx.write(lambda inside: _delete(inside, bucket, key))
    elif path.is_file() and not path.is_symlink():  # gone again: its deletion is the next change
        cx.objects.put_file(cx, bucket, key, path)
