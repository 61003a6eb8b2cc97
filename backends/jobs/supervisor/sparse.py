"""What a sparse file holds. The server imports this too (`core/objects/blobs.py`)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what a file holds between its holes (lseek(2)); all of it where holes are not told."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            start, end = end, size
        yield start, end
