"""A component's own settings: a frozen dataclass of the form of the server's, and beside it `SETTINGS = ComponentSettings(Mine)`.

It reads them by `SETTINGS.of(kernel)`; the kernel reads all of them at start, so that a bad value ends that and no job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from backends.core.memory import InMemory
from backends.core.settings import Settings, manual, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

T = TypeVar("T")


class ComponentSettings(InMemory[T]):
    """The settings of one component: `kind` is a frozen dataclass, each of its fields annotated with its sentence."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        super().__init__(f"settings.{kind.__module__}", lambda kernel: read(kind, kernel.settings.environment))


def declared(modules: Iterable[ModuleType]) -> list[ComponentSettings[Any]]:
    """Return what components declare. ValueError for a variable that two have, or one and the server."""
    every = [value for module in modules for value in vars(module).values() if isinstance(value, ComponentSettings)]
    own = list(dict.fromkeys(every))
    kinds: list[type[Any]] = [Settings, *(each.kind for each in own)]
    variables = [variable for kind in kinds for variable in manual(kind)]
    if twice := sorted({variable for variable in variables if variables.count(variable) > 1}):
        raise ValueError(f"declared twice: {', '.join(twice)}")
    return own
