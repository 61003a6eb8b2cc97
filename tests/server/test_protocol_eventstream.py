"""Event streams, read by botocore's own frame and event parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.parsers import EventStreamJSONParser, EventStreamXMLParser
from hypothesis import given
from hypothesis import strategies as st

from api_specs import model
from backends.core.errors import AwsError
from server.protocol import eventstream, protocol_of
from tests.server.wire import body_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Raw:
    """A response body as urllib3 gives it to botocore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body[:7], self._body[7:]]  # a frame may come in pieces

    def close(self) -> None:
        """Nothing is held."""


@given(
    st.dictionaries(st.text("abc:-", min_size=1, max_size=9), st.text(max_size=9), max_size=4), st.binary(max_size=99)
)
def test_frames_are_what_botocore_reads(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.frame(headers, payload))
    (message,) = list(buffer)
    assert (message.headers, message.payload) == (headers, payload)


async def _source(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


def _events(service: str, name: str, member: str, *items: Any, **beside: Any) -> EventStream:
    operation = model.operation(name, service)
    response = protocol_of(operation.service_model).serialize(operation, {member: _source(*items), **beside}, "r")
    assert (
        "Content-Type",
        eventstream.CONTENT_TYPE,
    ) in response.headers or "ContentType" in operation.output_shape.members
    parser = EventStreamXMLParser() if service == "s3" else EventStreamJSONParser()
    return EventStream(_Raw(body_of(response)), operation.output_shape.members[member], parser, name)


def test_the_response_stream_of_an_endpoint() -> None:
    parts = [
        {"PayloadPart": {"Bytes": b"a"}},
        {"PayloadPart": {"Bytes": bytes(range(256))}},
        {"PayloadPart": {"Bytes": b""}},
    ]
    assert list(_events("sagemaker-runtime", "InvokeEndpointWithResponseStream", "Body", *parts)) == parts


def test_a_modelled_exception_ends_the_stream() -> None:
    error = AwsError("ModelStreamError", "timed out", members={"ErrorCode": "ModelInvocationTimeExceeded"})
    stream = iter(
        _events(
            "sagemaker-runtime", "InvokeEndpointWithResponseStream", "Body", {"PayloadPart": {"Bytes": b"a"}}, error
        )
    )
    assert next(stream) == {"PayloadPart": {"Bytes": b"a"}}
    with pytest.raises(EventStreamError, match=r"ModelStreamError.*timed out"):
        next(stream)


def test_an_unmodelled_error_ends_the_stream() -> None:
    stream = iter(
        _events(
            "sagemaker-runtime", "InvokeEndpointWithResponseStream", "Body", AwsError("ThrottlingException", "slow")
        )
    )
    with pytest.raises(EventStreamError, match=r"ThrottlingException.*slow"):
        next(stream)


def test_ready_frames_pass_through() -> None:
    operation = model.operation("InvokeEndpointWithResponseStream", "sagemaker-runtime")
    ready = eventstream.encode_event(
        operation, operation.output_shape.members["Body"], {"PayloadPart": {"Bytes": b"z"}}
    )
    assert list(_events("sagemaker-runtime", "InvokeEndpointWithResponseStream", "Body", ready)) == [
        {"PayloadPart": {"Bytes": b"z"}}
    ]


def test_xml_events() -> None:
    events = [
        {"Records": {"Payload": b"1,2\n"}},
        {"Stats": {"Details": {"BytesScanned": 4, "BytesProcessed": 4}}},
        {"End": {}},
    ]
    assert list(_events("s3", "SelectObjectContent", "Payload", *events)) == events


def test_awsjson_streams_begin_with_an_initial_response() -> None:
    events = [{"sessionStart": {"requestId": "1", "logGroupIdentifiers": ["g"]}}]
    stream = _events("logs", "StartLiveTail", "responseStream", *events)
    assert stream.get_initial_response().payload == b"{}"
    assert list(stream) == events
