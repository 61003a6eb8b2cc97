"""`InMemory`: what a component keeps in a server's memory, under one name and with one type. Gone when the server ends.

A component declares `QUEUE = InMemory[Queue]("jobs.queue")` and stores it when it starts; whoever may import the
component reads it by `QUEUE.of(kernel)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.types import HasMemory

T = TypeVar("T")


class InMemory(Generic[T]):
    """One value per server. `name` is `<component>.<what it is>`; `make`: makes it at first use, where it can be made so."""

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Callable[[Any], T] | None = None) -> None:
        self._name, self._make = name, make

    def set(self, kernel: HasMemory, value: T) -> T:
        """Store the value, and return it."""
        kernel.state[self._name] = value
        return value

    def get(self, kernel: HasMemory) -> T | None:
        """Return the value, or None where there is none yet."""
        return cast("T | None", kernel.state.get(self._name))

    def forget(self, kernel: HasMemory) -> T | None:
        """Take the value away, and return it, or None where there was none."""
        return cast("T | None", kernel.state.pop(self._name, None))

    def of(self, kernel: HasMemory) -> T:
        """Return the value, made at first use. RuntimeError where its component has not stored one yet."""
        value: Any = kernel.state.get(self._name)
        if value is None:
            if self._make is None:
                raise RuntimeError(f"{self._name} is not there: its component has not started")
            value = kernel.state.setdefault(self._name, self._make(kernel))
        return cast("T", value)
