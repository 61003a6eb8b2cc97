"""`@every(seconds)`: background work of a component, in a thread while the server runs. A tick is short and does not sleep."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from backends.core.memory import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
EVENT_LOOP = InMemory[asyncio.AbstractEventLoop]("core.event_loop")
"""The loop that the server runs on; there once the kernel has started."""
Tick = TypeVar("Tick", bound="Callable[..., None]")


@dataclass(frozen=True, slots=True)
class Loop:
    """One tick function and its period."""

    name: str
    period_s: float
    tick: Callable[..., None]


def every(period_s: float) -> Callable[[Tick], Tick]:
    """Mark `def tick(kernel)` to run in a thread, `period_s` real seconds after its last end. Only the lease's holder runs loops."""

    def mark(tick: Tick) -> Tick:
        tick.__dict__["loops"] = (Loop(f"{tick.__module__}.{tick.__name__}", period_s, tick),)
        return tick

    return mark


async def run(kernel: object, loop: Loop) -> None:
    """Run one loop until cancelled, the first tick after a period. A tick that fails is logged and comes again."""
    while True:
        await asyncio.sleep(loop.period_s)
        try:
            await asyncio.to_thread(loop.tick, kernel)
        except Exception:
            log.exception("loop %s failed", loop.name)
