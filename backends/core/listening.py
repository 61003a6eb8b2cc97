"""Where the server listens, for components that lead others to it. Stored by the server when it starts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from backends.core.memory import InMemory

PORT = InMemory[int]("server.port")
"""The port of every address; there once the server listens."""

ADDRESSES = InMemory[list[str]]("server.addresses", lambda _kernel: [])
"""The URLs of all its addresses, the first one first."""

LISTEN_ALSO = InMemory[Callable[[str], Coroutine[Any, Any, str]]]("server.listen_also")
"""`await LISTEN_ALSO.of(kernel)(host)`, on the event loop, listens on another address of this machine; returns its URL."""
