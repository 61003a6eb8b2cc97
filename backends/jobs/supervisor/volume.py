"""The storage volume of a job's hosts: what each has on the disk is measured now and then, and the limit is told once.

AWS gives each instance a volume of VolumeSizeInGB, on which a write fails when it is full. Here directories share the
machine's disk, so the limit is kept by looking: a quick writer gets past it before the next look, a single file does not
(RLIMIT_FSIZE of a process host). `du` walks trees of any depth by descriptors and follows no link.
"""

from __future__ import annotations

import subprocess
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INTERVAL_S = 1.0
_SHARE = 20  # a look may take a twentieth of the time
FULL = "No space left on device: {name} has written more than its volume of {gb} GB holds. Increase VolumeSizeInGB."


def watch(
    hosts: dict[str, Callable[[], int]], limit_bytes: int, full: Callable[[str], None], interval_s: float = INTERVAL_S
) -> None:
    """Start the thread that measures every host; it calls `full` with a sentence once, and ends with the supervisor."""
    threading.Thread(target=_watch, args=(hosts, limit_bytes, full, interval_s), daemon=True).start()


def _watch(
    hosts: dict[str, Callable[[], int]], limit_bytes: int, full: Callable[[str], None], interval_s: float
) -> None:
    pause_s = interval_s
    while True:
        time.sleep(pause_s)
        begun = time.monotonic()
        for name, measure in hosts.items():
            if measure() > limit_bytes:
                full(FULL.format(name=name, gb=limit_bytes >> 30))
                return
        pause_s = max(interval_s, _SHARE * (time.monotonic() - begun))


def size_of(folders: Iterable[str]) -> int:
    """Return how many bytes of the disk directories take together; what cannot be looked at counts nothing."""
    done = subprocess.run(
        ["du", "-skx", "--", *folders], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return sum(int(line.split(None, 1)[0]) << 10 for line in done.stdout.splitlines() if line[:1].isdigit())
