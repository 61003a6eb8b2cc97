"""CloudWatch speaks CBOR, JSON and query: what older clients' botocore sends and reads, by a model made as theirs was."""

from __future__ import annotations

import copy
import gzip
from functools import cache
from typing import Any

import cbor2
import pytest
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from hypothesis import given

from api_specs import model
from backends.core.errors import AwsError
from server import body
from server.protocol import PROTOCOLS, name_of, rpc_v2_cbor
from server.types import HttpRequest
from tests.server import normalise
from tests.server.shapes import Wire, distinct, form, values
from tests.server.test_protocol_roundtrip import quick
from tests.server.wire import parsed_by_botocore, request_from_botocore

SERVICE = model.load_service("cloudwatch")
OLDER = [(protocol, name) for protocol in ("json", "query") for name in model.operations("cloudwatch")]
SHAPES = {name: model.operation(name, "cloudwatch") for name in model.operations("cloudwatch")}
REQUESTS: list[tuple[str, str]] = distinct(OLDER, lambda item: (item[0], form(SHAPES[item[1]].input_shape)))
ANSWERS: list[tuple[str, str]] = distinct(OLDER, lambda item: (item[0], form(SHAPES[item[1]].output_shape)))


@cache
def older(protocol: str) -> ServiceModel:
    """Return the model as botocore had it while this protocol was the default one."""
    document = copy.deepcopy(Loader().load_service_model("cloudwatch", "service-2"))
    document["metadata"]["protocol"] = protocol
    if protocol == "query":
        for name, operation in document["operations"].items():
            if "output" in operation:
                operation["output"]["resultWrapper"] = f"{name}Result"
    return ServiceModel(document, "cloudwatch")


def operation(protocol: str, name: str) -> OperationModel:
    return older(protocol).operation_model(name)


@pytest.mark.parametrize(("protocol", "name"), REQUESTS)
def test_what_older_clients_send_is_what_we_read(protocol: str, name: str) -> None:
    ours = model.operation(name, "cloudwatch")
    if ours.input_shape is None:
        pytest.skip("it takes nothing")

    @quick
    @given(values(ours.input_shape, Wire(protocol, response=False)))
    def check(sent: dict[str, Any]) -> None:
        request = request_from_botocore(operation(protocol, name), sent)
        assert name_of(SERVICE, request) == protocol
        got = PROTOCOLS[protocol].parse(ours, request)
        expected, agreed = normalise.agree(ours.input_shape, protocol, sent, got)
        assert agreed == expected

    check()


@pytest.mark.parametrize(("protocol", "name"), ANSWERS)
def test_what_we_write_is_what_older_clients_read(protocol: str, name: str) -> None:
    ours = model.operation(name, "cloudwatch")
    if ours.output_shape is None:
        pytest.skip("it gives nothing")

    @quick
    @given(values(ours.output_shape, Wire(protocol, response=True)))
    def check(sent: dict[str, Any]) -> None:
        response = PROTOCOLS[protocol].serialize(ours, dict(sent), "request-1")
        answer = parsed_by_botocore(operation(protocol, name), response)
        assert answer["ResponseMetadata"]["RequestId"] == "request-1"
        expected, agreed = normalise.agree(ours.output_shape, protocol, sent, answer)
        assert agreed == expected

    check()


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_every_protocol_gives_querys_code(protocol: str) -> None:
    error = AwsError("InvalidParameterValueException", "The parameter StartTime must be less than EndTime.")
    response = PROTOCOLS[protocol].serialize_error(SERVICE, model.operation("ListMetrics", "cloudwatch"), error, "r")
    parsed = parsed_by_botocore(operation(protocol, "ListMetrics"), response)
    assert response.status == 400
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("InvalidParameterValue", error.message)
    assert parsed["Error"].get("Type") in {"Sender", None}


def read(content: bytes, name: str = "PutMetricData") -> Any:
    return rpc_v2_cbor.parse(model.operation(name, "cloudwatch"), HttpRequest("POST", "/", b"/", b"", {}, content))


@pytest.mark.parametrize(
    "content",
    [
        b"\x81" * 100_000,
        b"\xa1\x61a" * 50_000 + b"\x01",
        b"\x9b" + b"\xff" * 8,
        b"\x5b\x00\x00" + b"\xff" * 6,
        b"\xc2\x5a\x00\x01\x86\xa0" + b"\xff" * 100_000,
        b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that holds itself
        b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",  # 10 ** (2 ** 63)
        b"\xd8\x23\x63(a*",  # a regular expression
        b"\xd9\xd9\xf7\xa0",
        b"\xa1\x80\x01",
        b"\xa1\x01\x01",
        b"\x61\xff",
        b"\x00",
        b"\x80",
        b"\xf7",
        cbor2.dumps({"Namespace": 5}),
        cbor2.dumps({"Namespace": b"x"}),
        cbor2.dumps({"Namespace": cbor2.undefined}),
        cbor2.dumps({"MetricData": {"a": 1}}),
        cbor2.dumps({"MetricData": [{"Timestamp": cbor2.CBORTag(1, "x")}]}),
        cbor2.dumps({"MetricData": [{"Timestamp": cbor2.CBORTag(1, float("nan"))}]}),
        cbor2.dumps({"MetricData": [{"Timestamp": cbor2.CBORTag(1, 2**63)}]}),
        cbor2.dumps({"MetricData": [{"StorageResolution": 2**31}]}),
        cbor2.dumps({"MetricData": [{"StorageResolution": cbor2.CBORSimpleValue(99)}]}),
    ],
)
def test_what_is_no_request_in_cbor_is_refused(content: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        read(content)
    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)


def test_nulls_and_unknown_members_are_absent_in_cbor() -> None:
    assert read(cbor2.dumps({"Namespace": "n", "Nonsense": 1, "MetricData": None})) == {"Namespace": "n"}
    assert read(b"") == {}


def test_numbers_that_json_lacks_arrive_in_cbor() -> None:
    sent = {"MetricDataResults": [{"Id": "a", "Values": [float("inf"), 1, 2.5], "Timestamps": [1.5, 2.0]}]}
    response = rpc_v2_cbor.serialize(model.operation("GetMetricData", "cloudwatch"), sent, "r")
    assert isinstance(response.body, bytes)
    result = cbor2.loads(response.body, semantic_decoders={1: lambda value, _: value})["MetricDataResults"][0]
    assert result["Values"] == [float("inf"), 1.0, 2.5]
    assert [type(value) for value in result["Values"]] == [float] * 3
    assert result["Timestamps"] == [1.5, 2]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (
            "/service/GraniteServiceVersion20100801/operation/ListMetrics",
            ("GraniteServiceVersion20100801", "ListMetrics"),
        ),
        ("/service/a/operation/b/c", ("", "")),
        ("/service/a/op/b", ("", "")),
        ("/", ("", "")),
    ],
)
def test_a_path_names_service_and_operation(path: str, named: tuple[str, str]) -> None:
    assert (rpc_v2_cbor.target(path), rpc_v2_cbor.operation_name(path)) == named


def test_a_gzipped_body_is_unpacked_up_to_the_limit() -> None:
    def packed(content: bytes) -> HttpRequest:
        return HttpRequest("POST", "/", b"/", b"", {"content-encoding": "gzip"}, content)

    assert body.unpacked(packed(gzip.compress(b"x" * 1000)), 1000) == b"x" * 1000
    with pytest.raises(AwsError, match="exceeds 1000 bytes"):
        body.unpacked(packed(gzip.compress(b"x" * 10_000_000)), 1000)
    with pytest.raises(AwsError, match="not in gzip"):
        body.unpacked(packed(b"x" * 20), 1000)
