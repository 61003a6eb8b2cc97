"""Checkpoints: from S3 to every host before the start; what hosts write then goes to S3 while they run (`mirrors.py`).

Source: developer guide "Use checkpoints in Amazon SageMaker" (2026-11): deletions propagate, objects that others add to
the prefix during the job are not pulled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.core import errors
from backends.core.objects import parse_uri, role_access
from backends.jobs import mirrors
from backends.jobs.channels import DataError, relative_path
from backends.jobs.opt_ml import OPT_ML, bring, local_path, make_open
from backends.jobs.spec import Mount

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.objects import StoredObject
    from backends.jobs.spec import HostSpec, Sync

WHAT = "checkpoint directory"


def restore(
    cx: Context, uri: str | None, path: str, hosts: tuple[HostSpec, ...], check: Callable[[], None]
) -> tuple[tuple[HostSpec, ...], tuple[Sync, ...]]:
    """Put the prefix's objects into every host's checkpoint directory, and have it mirrored from there on."""
    if uri is None:
        return hosts, ()
    bucket, prefix = parse_uri(f"{uri.rstrip('/')}/")
    stored = cx.look(lambda inside: _stored(inside, bucket, prefix))
    restored, syncs = [], []
    for host in hosts:
        local, mounts = _directory(host, path)
        for checkpoint in stored:
            check()
            target = local / relative_path(prefix, checkpoint.key)
            if not target.is_dir():
                target.unlink(missing_ok=True)
            bring(cx, checkpoint, target, above=local.parent)
            target.chmod(0o666)
        restored.append(replace(host, mounts=(*host.mounts, *mounts)))
        syncs.append(mirrors.sync_of(host, local))
    return tuple(restored), tuple(syncs)


def _stored(cx: Context, bucket: str, prefix: str) -> list[StoredObject]:
    """Return the prefix's objects, all of which the context's role must be allowed to read."""
    try:
        role_access.check(cx, bucket, "s3:ListBucket", prefix)
        stored = [entry for entry in cx.objects.list_keys(cx, bucket, prefix) if entry.key[-1] != "/"]
        for entry in stored:
            role_access.check(cx, bucket, "s3:GetObject", entry.key)
    except errors.AwsError as error:
        raise DataError(error.message) from error
    return stored


def _directory(host: HostSpec, path: str) -> tuple[Path, tuple[Mount, ...]]:
    """Return the host's checkpoint directory on this machine; outside /opt/ml it is mounted where the job expects it."""
    path = local_path(path, WHAT)
    local = host.opt_ml / path.removeprefix(OPT_ML) if path.startswith(OPT_ML) else host.opt_ml.parent / "checkpoints"
    try:
        make_open(local, above=host.opt_ml.parent)
    except OSError as error:
        raise DataError(f"the checkpoint directory {path!r} cannot be made: {error.strerror}") from error
    return local, () if path.startswith(OPT_ML) else (Mount(local, path, read_only=False),)
