"""One endpoint of two variants for each runner, which many tests ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import ACCOUNTS, LiveServer
from tests.endpoints.served import Served, variant
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared(running: LiveServer, runner: str) -> Iterator[Served]:
    """Yield an endpoint in service: variants `a` (weight 3) and `b` (weight 1)."""
    site = Site(running, f"{next(ACCOUNTS):012d}", runner)
    served = Served(site)
    variants = [
        variant(served.model(served.container(who)), who, InitialVariantWeight=weight)
        for who, weight in (("a", 3.0), ("b", 1.0))
    ]
    served.deploy(served.config(*variants))
    yield served
    served.delete()
    site.close()


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    """Yield a place to deploy to on each runner; the endpoint is deleted in the end."""
    made = Served(site)
    yield made
    _take_away(made)


@pytest.fixture
def served_here(local: Site) -> Iterator[Served]:
    """Yield a place to deploy to on the process runner, for what does not depend on the runner."""
    made = Served(local)
    yield made
    _take_away(made)


def _take_away(made: Served) -> None:
    for entry in made.site.sagemaker.list_endpoints(NameContains=made.name)["Endpoints"]:
        if entry["EndpointStatus"] != "Deleting":
            made.delete()
