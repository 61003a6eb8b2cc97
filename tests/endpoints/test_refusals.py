"""Counts of instances that an endpoint cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from backends.core.errors import AwsError
from backends.endpoints.operations import _check_variant

if TYPE_CHECKING:
    from backends.core.context import Context
    from tests.endpoints.served import Served


def test_a_variant_is_not_scaled_to_nothing(shared: Served) -> None:
    with pytest.raises(ClientError, match="DesiredInstanceCount of the variant a must be at least 1") as caught:
        shared.site.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=shared.name, DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredInstanceCount": 0}]
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert shared.describe()["EndpointStatus"] == "InService"


def test_a_variant_does_not_begin_with_nothing() -> None:
    entry: dict[str, Any] = {
        "VariantName": "a",
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 0,
    }
    with pytest.raises(AwsError, match="InitialInstanceCount of the variant a must be at least 1"):
        _check_variant(cast("Context", None), entry)
