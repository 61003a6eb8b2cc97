"""Whatever the bytes: reading a request gives a value or an `AwsError`, checking it gives sentences, and quickly."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api_specs import model, validate
from backends.core.errors import AwsError
from server.protocol import PROTOCOLS, protocol_of, rest_route
from server.types import HttpRequest
from tests.server.mutate import mutate
from tests.server.shapes import Wire, values
from tests.server.wire import request_from_botocore

SERVICES = (*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs", "cloudwatch")
ROUNDS = int(os.environ.get("LOCALMAKER_TEST_MUTATIONS", "3"))
"""Mutations of each operation's one generated request."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_mutated_request_is_read_or_refused(service: str) -> None:
    source = random.Random(20261123)
    outcomes = {"read": 0, "refused": 0}
    for name in model.operations(service):
        operation = model.operation(name, service)
        if operation.input_shape is None:
            continue
        for valid in _requests(service, name):
            for _ in range(ROUNDS):
                outcomes[_read(service, name, mutate(valid, source))] += 1
    assert outcomes["read"] > 0
    assert outcomes["refused"] > 0 or len(model.operations(service)) < 5, "small services may have raw bodies only"


def _requests(service: str, name: str) -> list[HttpRequest]:
    operation = model.operation(name, service)
    protocol = operation.metadata["protocol"]
    requests: list[HttpRequest] = []

    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values(operation.input_shape, Wire(protocol, response=False)))
    def collect(sent: dict[str, object]) -> None:
        requests.append(request_from_botocore(operation, sent))

    collect()
    return requests


def _read(service: str, name: str, request: HttpRequest) -> str:
    operation = model.operation(name, service)
    refused = None
    try:
        if operation.metadata["protocol"].startswith("rest"):
            rest_route.matcher(operation.service_model).match(request)
        value = PROTOCOLS[operation.metadata["protocol"]].parse(operation, request)
        broken = validate.violations(operation.input_shape, value)
    except AwsError as error:
        refused = error
    if refused is None:
        assert not broken or "failed to satisfy constraint" in validate.sentence(broken)
        return "read"
    assert refused.code in {"SerializationException", "MalformedXML"}
    answer = protocol_of(operation.service_model).serialize_error(operation.service_model, operation, refused, "r")
    assert answer.status == 400
    return "refused"


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.binary(max_size=40),
    st.sampled_from(
        ["sagemaker.CreateModel", "s3.DeleteObjects", "iam.CreateRole", "sagemaker-metrics.BatchPutMetrics"]
    ),
)
def test_any_bytes_are_read_or_refused(body: bytes, where: str) -> None:
    service, name = where.split(".")
    assert _read(service, name, HttpRequest("POST", "/b", b"/b", b"", {}, body)) in {"read", "refused"}
