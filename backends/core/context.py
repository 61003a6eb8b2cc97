"""`Context` (`cx`): the only thing handed round. It is the kernel's (`kernel.py`); this is the name that components use."""

from __future__ import annotations

from backends.core.kernel import Context
from backends.core.types import DEFAULT_ACCOUNT, DEFAULT_REGION, Caller

__all__ = ["DEFAULT_ACCOUNT", "DEFAULT_REGION", "Caller", "Context"]
