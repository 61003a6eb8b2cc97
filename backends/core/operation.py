"""`@operation`: a plain function becomes the handler of one AWS operation. Grep finds exactly one place for each."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

Handler = TypeVar("Handler", bound="Callable[..., Any]")
READING_VERBS = ("Describe", "List", "Get", "Head", "Search", "Query", "Filter")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation and the function that answers it.

    `reads` handlers only read; other sync handlers run in a transaction and must not wait. `waits` handlers are
    `async`, run outside any transaction and open their own through `cx.transact`.
    """

    service: str
    name: str
    handler: Callable[..., Any]
    reads: bool
    waits: bool
    noun: str = ""
    """The resource that a derived operation is about."""
    is_long: Callable[[dict[str, Any]], bool] | None = None
    """Whether a request makes a `reads` handler read so much that it must not hold up the event loop."""
    acts_on: tuple[str, ...] = ()
    """The nouns of the resources whose ARNs a policy has for it; empty: the one that its name says."""


def operation(
    *names: str,
    service: str = "sagemaker",
    reads: bool | None = None,
    is_long: Callable[[dict[str, Any]], bool] | None = None,
    acts_on: tuple[str, ...] = (),
) -> Callable[[Handler], Handler]:
    """Mark a function as the handler of one operation (several names where AWS has synonyms)."""

    def mark(handler: Handler) -> Handler:
        handler.__dict__["operations"] = tuple(
            Operation(
                service,
                name,
                handler,
                name.startswith(READING_VERBS) if reads is None else reads,
                inspect.iscoroutinefunction(handler),
                is_long=is_long,
                acts_on=acts_on,
            )
            for name in names
        )
        return handler

    return mark


def marked(module: ModuleType, attribute: str) -> Iterator[Any]:
    """Yield what a module's own functions were marked with under `attribute`."""
    for value in list(vars(module).values()):
        if callable(value) and getattr(value, "__module__", None) == module.__name__:
            yield from getattr(value, attribute, ())
