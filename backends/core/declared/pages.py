"""Console pages: a component declares each in a `Page`; the console makes its menu of them and imports one at its first visit."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its path below the console's, its title in the menu, and `module:function`, which builds it."""

    path: str
    title: str
    build: str

    def load(self) -> Callable[..., Any]:
        """Import what builds the page."""
        module, _, name = self.build.partition(":")
        built: Callable[..., Any] = getattr(import_module(module), name)
        return built


def declared(modules: Iterable[ModuleType]) -> tuple[Page, ...]:
    """Return the pages of components, in their order. ValueError for two at one path."""
    pages: dict[str, Page] = {}
    for page in (value for module in modules for value in vars(module).values() if isinstance(value, Page)):
        if pages.setdefault(page.path, page) is not page:
            raise ValueError(f"two pages are at {page.path}")
    return tuple(pages.values())
