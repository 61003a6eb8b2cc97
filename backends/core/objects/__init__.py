"""The bytes and the index of S3 objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ObjectStore:
    """Blobs under one directory."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.root, self.durable = root, durable
