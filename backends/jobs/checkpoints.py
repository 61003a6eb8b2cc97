"""Checkpoints both ways: from S3 to every host before the start, and what hosts write to S3 while they run.

Source: developer guide "Use checkpoints in Amazon SageMaker" (2026-11): deletions propagate, objects that others add to
the prefix during the job are not pulled.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from backends.core import errors
from backends.core.objects import parse_uri, role_access
from backends.jobs.artifacts import key_of
from backends.jobs.channels import DataError, relative_path
from backends.jobs.opt_ml import bring, make_open
from backends.jobs.spec import Mount, Sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.objects import StoredObject
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Change, Handle, Runner
    from backends.jobs.spec import HostSpec

log = logging.getLogger(__name__)
OPT_ML = "/opt/ml/"
BATCH = 200
RESERVED = ("proc", "sys", "dev")  # the kernel's: nothing can be mounted there


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
        syncs.append(Sync(local, host.opt_ml.parent / "checkpoints-seen"))
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


def local_path(path: str) -> str:
    """Return CheckpointConfig.LocalPath without doubled and closing slashes. DataError where none can be mounted.

    Unverified: which paths AWS refuses (of TensorBoardOutputConfig it names reserved ones); any other absolute path is
    mounted where the job expects it.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    whole = "/" + "/".join(parts)
    if not path.startswith("/") or ".." in parts or "\0" in path or whole in {"/", "/opt", "/opt/ml"}:
        raise DataError(f"the checkpoint directory {path!r} is not the absolute path of a directory below /opt/ml")
    if parts[0] in RESERVED:
        raise DataError(f"the checkpoint directory {path!r} starts with the reserved path /{parts[0]}")
    return whole


def _directory(host: HostSpec, path: str) -> tuple[Path, tuple[Mount, ...]]:
    """Return the host's checkpoint directory on this machine; outside /opt/ml it is mounted where the job expects it."""
    path = local_path(path)
    local = host.opt_ml / path.removeprefix(OPT_ML) if path.startswith(OPT_ML) else host.opt_ml.parent / "checkpoints"
    try:
        make_open(local, above=host.opt_ml.parent)
    except OSError as error:
        raise DataError(f"the checkpoint directory {path!r} cannot be made: {error.strerror}") from error
    return local, () if path.startswith(OPT_ML) else (Mount(local, path, read_only=False),)


def carry(run: Run, cx: Context, runner: Runner, handle: Handle, uri: str) -> None:
    """Put what hosts wrote or deleted since the last call into S3; the place reached is saved after the objects."""
    bucket, prefix = parse_uri(f"{uri.rstrip('/')}/")
    while True:
        changes = list(islice(runner.changes(handle, run.state.get("change_offset", 0)), BATCH))
        if not changes:
            return
        for change in changes:
            try:
                key = key_of(f"{prefix}{change.path}")
            except errors.AwsError as error:  # a name that no object can have
                log.warning("%s: a checkpoint is left out: %s", run.arn, error.message)
                continue
            _apply(cx, handle, bucket, key, change)
        run.save(change_offset=changes[-1].offset)


def _delete(cx: Context, bucket: str, key: str) -> None:
    role_access.check(cx, bucket, "s3:DeleteObject", key)
    cx.objects.delete(cx, bucket, key)


def _apply(cx: Context, handle: Handle, bucket: str, key: str, change: Change) -> None:
    if change.kind == "delete":
        cx.write(lambda inside: _delete(inside, bucket, key))
        return
    host = f"algo-{change.sync + 1}"
    path = handle.directory / host / "checkpoints-seen" / change.path
    if path.is_file() and not path.is_symlink():  # gone again: its deletion is the next change
        cx.objects.put_file(cx, bucket, key, path)
