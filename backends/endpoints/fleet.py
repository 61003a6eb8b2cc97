"""Who serves an endpoint right now: variants, their instances, and the addresses of their containers. In memory.

The engine publishes a fleet when its containers are healthy and replaces it whole; an invocation takes the fleet it
finds and counts itself in, so that the engine can wait for an old fleet to run dry before it stops it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.core.memory import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Container:
    """One running container: its name in messages (`primary`, or the container's own), its address, and whether it has ended."""

    name: str
    host: str
    port: int
    has_ended: Callable[[], bool] = field(default=lambda: False, compare=False)


@dataclass(slots=True)
class Instance:
    """One copy of a variant: its containers in the order of the request's way through them."""

    id: str
    containers: tuple[Container, ...]
    outstanding: int = 0


@dataclass(slots=True)
class Variant:
    """One production variant: its weight among the variants' (its share of the traffic), and the instances that serve it."""

    name: str
    weight: float
    instances: tuple[Instance, ...]

    def pick(self) -> Instance:
        """Take the instance with the fewest requests under way."""
        return min(self.instances, key=lambda instance: instance.outstanding)


@dataclass(slots=True)
class Fleet:
    """Everything that serves one endpoint. `async_config` is the configuration's AsyncInferenceConfig."""

    endpoint: str
    arn: str
    variants: tuple[Variant, ...]
    async_config: dict[str, Any] | None = None
    by_name: dict[str, Variant] = field(default_factory=dict)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.by_name = {variant.name: variant for variant in self.variants}
        self.total = sum(variant.weight for variant in self.variants)

    def pick(self) -> Variant:
        """Choose a variant by weight."""
        if len(self.variants) == 1:
            return self.variants[0]
        mark = random.random() * self.total  # noqa: S311 - traffic, not a secret
        for variant in self.variants:
            mark -= variant.weight
            if mark < 0:
                return variant
        return next(variant for variant in reversed(self.variants) if variant.weight)

    def outstanding(self) -> int:
        """Count the requests under way."""
        return sum(instance.outstanding for variant in self.variants for instance in variant.instances)


def log_group(endpoint: str) -> str:
    """Return the log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


FLEETS = InMemory[dict[tuple[str, str, str], Fleet]]("endpoints.fleets", lambda _kernel: {})


def fleets(kernel: Kernel) -> dict[tuple[str, str, str], Fleet]:
    """Return the published fleets, by account, region and endpoint name."""
    return FLEETS.of(kernel)


def fleet_of(cx: Context, endpoint: str) -> Fleet | None:
    """Return who serves an endpoint of the account right now."""
    return fleets(cx.kernel).get((cx.account, cx.region, endpoint))
