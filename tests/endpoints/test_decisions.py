"""Which variant and which instance an invocation takes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.endpoints.fleet import Container, Fleet, Instance, Variant
from backends.endpoints.invoke import container_headers

DRAWS = 4000


def variant(name: str, weight: float, instances: int = 1) -> Variant:
    """Return a variant of instances without requests under way."""
    return Variant(name, weight, tuple(Instance(f"{name}-{n}", (Container("c", "h", 1),)) for n in range(instances)))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (9.0, 1.0), (0.0, 1.0), (1.0, 0.0, 3.0)])
def test_variants_share_by_weight(weights: tuple[float, ...]) -> None:
    fleet = Fleet("e", "arn", tuple(variant(str(n), weight) for n, weight in enumerate(weights)))
    drawn = Counter(fleet.pick().name for _ in range(DRAWS))
    for n, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(drawn[str(n)] / DRAWS - share) <= 5 * (share * (1 - share) / DRAWS) ** 0.5


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_the_least_busy_instance_is_taken(outstanding: list[int]) -> None:
    made = variant("v", 1.0, len(outstanding))
    for instance, count in zip(made.instances, outstanding, strict=True):
        instance.outstanding = count
    assert made.pick().outstanding == min(outstanding)


def test_only_known_headers_reach_the_container() -> None:
    request = {"EndpointName": "e", "Body": b"", "ContentType": "text/csv", "InferenceId": "7", "CustomAttributes": "c"}
    assert container_headers(request) == {
        "Content-Type": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "c",
        "X-Amzn-SageMaker-Inference-Id": "7",
    }
