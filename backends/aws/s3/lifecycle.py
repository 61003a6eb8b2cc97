"""Lifecycle: the configuration, and the loop that expires by the clock of the account that owns the bucket.

What expires does so at a midnight (UTC), so a bucket is walked once a day of its clock, or when its rules change. Until
the loop has come by, an expired object can still be read, as on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.aws.s3 import access
from backends.aws.s3.configuration import missing
from backends.aws.s3.lifecycle_rules import DAY_S, SETTING, Rule, checked, rules_of
from backends.core.loops import every
from backends.core.memory import InMemory
from backends.core.objects.rows import LISTED, StoredObject, bucket_from, stored_object
from backends.core.objects.tables import buckets, objects, uploads
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.core.objects import Bucket

BATCH, MOST_AT_ONCE = 500, 100
DEFAULT_MINIMUM = "all_storage_classes_128K"
CAUSE = "LifecycleExpiration"


@operation("PutBucketLifecycleConfiguration", service="s3")
def put_bucket_lifecycle_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a bucket's rules."""
    bucket = access.bucket_of(cx, request, "s3:PutLifecycleConfiguration")
    cx.objects.configure(cx, bucket.name, SETTING, checked(request.get(SETTING, {})))
    return {"TransitionDefaultMinimumObjectSize": request.get("TransitionDefaultMinimumObjectSize", DEFAULT_MINIMUM)}


@operation("GetBucketLifecycleConfiguration", service="s3")
def get_bucket_lifecycle_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's rules."""
    bucket = access.bucket_of(cx, request, "s3:GetLifecycleConfiguration")
    if SETTING not in bucket.settings:
        raise missing(bucket.name, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
    return {**bucket.settings[SETTING], "TransitionDefaultMinimumObjectSize": DEFAULT_MINIMUM}


@operation("DeleteBucketLifecycle", service="s3")
def delete_bucket_lifecycle(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a bucket's rules."""
    bucket = access.bucket_of(cx, request, "s3:PutLifecycleConfiguration")
    cx.objects.configure(cx, bucket.name, SETTING, None)
    return {}


WALKED = InMemory[dict[str, tuple[int, str]]]("s3.lifecycle", lambda _kernel: {})
"""By bucket, the day of its clock and the rules of the last walk."""


@every(1)
def expire(kernel: Kernel) -> None:
    """Walk the buckets whose rules, or whose clock's day, are not those of the last walk."""
    walked = WALKED.of(kernel)
    configured = select(buckets).where(buckets.c.settings.is_not(None))
    columns = configured.with_only_columns(
        buckets.c.name, buckets.c.account, buckets.c.region, buckets.c.created, buckets.c.settings
    )
    rows = kernel.db.read_blocking(lambda tx: tx.connection.execute(columns).all())
    for bucket in map(bucket_from, rows):
        if SETTING not in bucket.settings:
            continue
        now = kernel.clocks.now(bucket.account)
        mark = (int(now // DAY_S), repr(bucket.settings[SETTING]))
        if walked.get(bucket.name) != mark:
            Walk(kernel, bucket, now).run()
            walked[bucket.name] = mark


class Walk:
    """One walk over one bucket: reads in batches, and removes what is due some at a time, in transactions of their own."""

    def __init__(self, kernel: Kernel, bucket: Bucket, now: float) -> None:
        self._kernel, self._bucket, self._now = kernel, bucket, now
        self._cx = kernel.context(bucket.account, bucket.region)
        self._rules = rules_of(bucket)

    def run(self) -> None:
        """Abort uploads, and expire current versions, noncurrent ones and delete markers that hide nothing."""
        if self._rules:
            self._abort_uploads()
            due: list[StoredObject] = []
            for versions in self._keys():
                due += self._due(versions)
                if len(due) >= MOST_AT_ONCE:
                    self._remove_together(due)
                    due = []
            self._remove_together(due)

    def _remove_together(self, due: list[StoredObject]) -> None:
        if due:
            self._cx.write(lambda inside: self._remove(inside, due))

    def _abort_uploads(self) -> None:
        begun = select(uploads.c.upload_id, uploads.c.key, uploads.c.created)
        query = begun.where(uploads.c.bucket == self._bucket.name)
        for upload_id, key, created in self._cx.look(lambda inside: inside.db.execute(query).all()):
            if any(rule.fits_key(key) and self._is_due(rule.aborts(created)) for rule in self._rules):
                self._cx.write(lambda inside, gone=upload_id: inside.objects.forget_upload(inside, gone))  # type: ignore[misc]

    def _is_due(self, when: float | None) -> bool:
        return when is not None and when <= self._now

    def _keys(self) -> Iterator[list[StoredObject]]:
        """Yield the versions of each key, the newest first."""
        query = select(objects.c.id, *LISTED).where(objects.c.bucket == self._bucket.name)
        query = query.order_by(objects.c.key, objects.c.id.desc())
        after: str | None = None
        while True:
            batch = query if after is None else query.where(objects.c.key > after)
            rows = self._cx.look(lambda inside, batch=batch: inside.db.execute(batch.limit(BATCH)).all())  # type: ignore[misc]
            if len(rows) == BATCH and rows[0].key == rows[-1].key:  # more versions of one key than a batch holds
                of_key = query.where(objects.c.key == rows[0].key)
                rows = self._cx.look(lambda inside, of_key=of_key: inside.db.execute(of_key).all())  # type: ignore[misc]
            elif len(rows) == BATCH:
                rows = [row for row in rows if row.key != rows[-1].key]
            grouped: dict[str, list[StoredObject]] = {}
            for row in rows:
                grouped.setdefault(row.key, []).append(stored_object(row[1:]))
            yield from grouped.values()
            if not rows:
                return
            after = rows[-1].key

    def _due(self, versions: list[StoredObject]) -> list[StoredObject]:
        """Choose which versions of a key go; a delete marker when it hides nothing any more."""
        current, *older = versions
        due = [version for newer, version in enumerate(older) if self._is_old(version, versions[newer].modified, newer)]
        if current.is_delete_marker:
            markers = [rule.expires_marker(current.modified) for rule in self._rules if rule.fits_key(current.key)]
            if len(due) == len(older) and any(map(self._is_due, markers)):
                due.append(current)
        elif any(self._fits(rule, current) and self._is_due(rule.expires(current.modified)) for rule in self._rules):
            due.append(current)
        return due

    def _is_old(self, version: StoredObject, since: float, newer: int) -> bool:
        """Return whether a version goes that is noncurrent since then and has so many newer noncurrent ones."""
        return any(
            self._fits(rule, version) and self._is_due(rule.expires_noncurrent(since, newer)) for rule in self._rules
        )

    @staticmethod
    def _fits(rule: Rule, version: StoredObject) -> bool:
        if version.is_delete_marker:
            return rule.fits_key(version.key)
        return rule.fits(version.key, version.size, version.tags)

    def _remove(self, cx: Context, due: list[StoredObject]) -> None:
        """Remove what is still as it was read: somebody may have written in between."""
        cx.objects.lock_bucket(cx, self._bucket.name)
        inside = cx.objects.bucket(cx, self._bucket.name)
        for seen in due:
            there = cx.objects.version(cx, seen.bucket, seen.key, seen.version_id)
            if inside is None or there is None or (there.modified, there.is_latest) != (seen.modified, seen.is_latest):
                continue
            whole = not seen.is_latest or seen.is_delete_marker or not inside.versioning
            cx.objects.delete(cx, seen.bucket, seen.key, seen.version_id if whole else None, CAUSE)
