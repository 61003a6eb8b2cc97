"""Services of AWS that are not ours, for components that call them: stored by the component that has them answered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from backends.core.memory import InMemory

SEND = InMemory[Callable[[Any, dict[str, Any]], Future[tuple[int, Any, bytes]]]]("moto.send")
"""`SEND.of(kernel)(cx, detail)` calls an operation at once, as an `AwsCall` event's detail says it; status, headers, body."""

IS_DELIVERY_ALLOWED = InMemory[Callable[[Any, dict[str, str], str], Future[bool]]]("moto.is_delivery_allowed")
"""`IS_DELIVERY_ALLOWED.of(kernel)(kernel, sender, receiver)`: whether the receiver's policy lets the sender in."""
