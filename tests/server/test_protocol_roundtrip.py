"""Every distinct input shape through botocore's serializer into our parser, every output shape back through its parser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from api_specs import model
from server.protocol import PROTOCOLS, rest_route
from tests.server import normalise
from tests.server.shapes import Wire, distinct, form, values
from tests.server.wire import body_of, parsed_by_botocore, request_from_botocore

if TYPE_CHECKING:
    from botocore.model import Shape

SERVICES = (*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs", "cloudwatch")
EXAMPLES = int(os.environ.get("LOCALMAKER_TEST_EXAMPLES", "4"))
"""Generated values per shape and direction; the nightly run sets 50."""

OPERATIONS = [
    (service, name) for service in SERVICES for name in model.operations(service) if name not in normalise.LEFT_OUT
]
STREAMING = {"InvokeEndpointWithResponseStream", "SelectObjectContent", "StartLiveTail", "GetLogObject"}
"""Operations whose answer is an event stream: test_protocol_eventstream.py has them."""


def _request(item: tuple[str, str]) -> Any:
    operation = model.operation(item[1], item[0])
    protocol = operation.metadata["protocol"]
    # The REST protocols find the operation by method and path: there each request is one of its own.
    return protocol, form(operation.input_shape), item if protocol.startswith("rest") else None


def _answer(item: tuple[str, str]) -> Any:
    operation = model.operation(item[1], item[0])
    return operation.metadata["protocol"], form(operation.output_shape)


REQUESTS = distinct(OPERATIONS, _request)
ANSWERS = distinct((item for item in OPERATIONS if item[1] not in STREAMING), _answer)

quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 10,
    phases=[Phase.generate] if EXAMPLES < 10 else list(Phase),
    suppress_health_check=list(HealthCheck),
)


def _values(shape: Shape | None, wire: Wire) -> st.SearchStrategy[dict[str, Any]]:
    return st.just({}) if shape is None else values(shape, wire)


@pytest.mark.parametrize(("service", "name"), REQUESTS, ids=str)
def test_what_botocore_sends_is_what_we_read(service: str, name: str) -> None:
    operation = model.operation(name, service)
    shape = operation.input_shape
    protocol = operation.metadata["protocol"]

    @quick
    @given(_values(shape, Wire(protocol, response=False)))
    def check(sent: dict[str, Any]) -> None:
        request = request_from_botocore(operation, sent)
        expected, got = normalise.agree(shape, protocol, sent, PROTOCOLS[protocol].parse(operation, request))
        assert got == expected
        if protocol.startswith("rest") and name not in rest_route.SHADOWED:
            match = rest_route.matcher(operation.service_model).match(request)
            assert match is not None
            assert match[0].name == name

    check()


@pytest.mark.parametrize(("service", "name"), ANSWERS, ids=str)
def test_what_we_write_is_what_botocore_reads(service: str, name: str) -> None:
    operation = model.operation(name, service)
    shape = operation.output_shape
    protocol = operation.metadata["protocol"]

    @quick
    @given(_values(shape, Wire(protocol, response=True)))
    def check(sent: dict[str, Any]) -> None:
        response = PROTOCOLS[protocol].serialize(operation, dict(sent), "request-1")
        if name == "GetBucketLocation":  # botocore reads this one in a handler of its own, from the root's text
            assert (ET.fromstring(body_of(response)).text or "") == sent.get("LocationConstraint", "")
            return
        answer = parsed_by_botocore(operation, response)
        if shape is not None or protocol != "smithy-rpc-v2-cbor":  # there botocore parses nothing without a shape
            assert answer["ResponseMetadata"]["RequestId"] == "request-1"
        expected, got = normalise.agree(shape, protocol, sent, answer)
        assert got == expected

    check()
