"""Files that no row names, as a crash leaves them: looked for at each start, while requests are already answered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from backends.core.loops import EVENT_LOOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.core.db import Transaction
    from backends.core.kernel import Kernel
    from backends.core.objects.blobs import Blobs

log = logging.getLogger(__name__)
CLOCK_MARGIN_S = 0.1  # the operating system stamps files with a clock that is a tick behind
SHARED_KEEP_S = 3600.0
"""How old a file must be where other servers use the same database: theirs may be on its way."""
BATCH = 500


def sweep_at_start(kernel: Kernel, what: str, remove_orphans: Callable[[Kernel, float], int]) -> None:
    """Call `remove_orphans(kernel, before)` in a thread, which counts what it removes; what requests write is newer than that."""
    before = time.time() - (CLOCK_MARGIN_S if kernel.db.is_sqlite else SHARED_KEEP_S)
    EVENT_LOOP.of(kernel).run_in_executor(None, _sweep, kernel, what, remove_orphans, before)


def _sweep(kernel: Kernel, what: str, remove_orphans: Callable[[Kernel, float], int], before: float) -> None:
    try:
        removed = remove_orphans(kernel, before)
    except Exception:
        log.exception("the sweep of %s's files failed; it comes again with the next start", what)
    else:
        if removed:
            log.info("removed %d %s files that no row names", removed, what)


def remove_unnamed(
    kernel: Kernel, blobs: Blobs, before: float, named: Callable[[Transaction, list[str]], set[str]]
) -> int:
    """Remove the blobs from before that time (epoch seconds) that are not `named` by any row; count them."""
    removed = 0
    for batch in _batches(blobs, before):
        for orphan in set(batch) - kernel.db.read_blocking(lambda tx, batch=batch: named(tx, batch)):  # type: ignore[misc]
            blobs.remove(orphan)
            removed += 1
    return removed


def _batches(blobs: Blobs, before: float) -> Iterator[list[str]]:
    for names in blobs.names(before):
        yield from (names[first : first + BATCH] for first in range(0, len(names), BATCH))
