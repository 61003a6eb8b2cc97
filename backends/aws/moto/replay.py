"""The recording back into moto, before the first request is answered."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from backends.aws.moto import functions, journal, recording, seams, stacks, wsgi

if TYPE_CHECKING:
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)


def start(kernel: Kernel) -> Any:
    """Make moto's application and give it the state that the recording tells of; runs on moto's thread."""
    app = wsgi.make_app()
    seams.install()
    seams.bind_region()
    stacks.install()
    functions.install(kernel)
    began, count = time.monotonic(), 0
    with seams.nothing_leaves():
        for row in recording.recorded(kernel):
            _again(kernel, app, row)
            count += 1
    if count:
        log.info("moto has its state again: %d requests replayed in %.1f s", count, time.monotonic() - began)
    return app


def _again(kernel: Kernel, app: Any, row: Any) -> None:
    request = recording.request_of(row)
    for path, name in seams.roles_in(request):
        seams.know_role(row.account, path, name)
    seams.determine(row.seed, row.time)
    what = recording.operation_of(request) or f"{request.method} {request.path}"
    try:
        with journal.opened(kernel, request, row.kept, is_replay=True):
            status, _, content = wsgi.run(app, request)
        if row.kept is not None and row.kept[:1] == b"{":
            seams.put_keys_back(row.account, row.kept)
    except Exception:
        log.exception("moto cannot replay %s", what)
        return
    if status >= 400:
        log.warning("moto answered %d to the recorded %s: %s", status, what, content[:300])
