"""The one table of what may differ between a value that was sent and the value that arrived, each with its reason.

`SENT` narrows what is generated (in `shapes.py`): values that a wire cannot carry, or that botocore's side loses.
`ARRIVED` changes both sides before they are compared.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.model import Shape

    Values = dict[str, Any]

SENT = {
    "text_in_json": "any text but lone surrogates: they are no UTF-8",
    "text_in_xml": "no control characters (XML 1.0 has none) and no carriage return (XML reads it as a line feed)",
    "text_in_header": "visible ASCII without blanks at its ends: HTTP trims them",
    "text_in_response_header_list": "letters: botocore's parser splits at every comma, quoted or not",
    "text_in_label": "at least one character: an empty label would be another path",
    "host_label": "letters: botocore refuses what is no host name",
    "name_of_header": "lower-case letters: names of headers have no case",
    "number_in_float": "finite: NaN is not equal to itself and JSON has no infinity (tested by itself)",
    "time": "whole milliseconds: AWS's precision; whole seconds in headers, where HTTP dates have no more",
    "union": "exactly one member: the model says so and botocore's parser insists",
    "streams": "left out: an event stream is an iterator, not a value (test_protocol_eventstream.py)",
}

LEFT_OUT = {
    "GetBucketNotification": "deprecated: its members Event and Events share one element name, so XML cannot hold both",
    "PutBucketNotification": "deprecated: its members Event and Events share one element name, so XML cannot hold both",
}
"""Operations that botocore itself cannot bring through."""

KEEPS_EMPTY = {"json", "rest-json", "smithy-rpc-v2-cbor"}
"""Protocols whose bodies can hold an empty list."""


def time_is_seconds(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """Botocore gives datetimes; inside they are epoch seconds."""
    del shape, protocol
    return _seconds(sent), _seconds(got)


def metadata(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """Botocore adds ResponseMetadata to what it parsed."""
    del shape, protocol
    return sent, {name: item for name, item in got.items() if name != "ResponseMetadata"}


def raw_payload(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """Take a raw payload as bytes, whatever its type; an empty one cannot be told from none."""
    del protocol
    payload = str(shape.serialization.get("payload", "")) if shape is not None else ""

    def as_bytes(side: Values) -> Values:
        item = side.get(payload)
        plain = item.encode() if isinstance(item, str) else item
        rest = {name: value for name, value in side.items() if name != payload}
        return rest if plain in (b"", None, {}) else {**rest, payload: plain}

    return (as_bytes(sent), as_bytes(got)) if payload else (sent, got)


def empty_is_absent(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """XML, forms, headers and query strings cannot tell an empty list, map or structure from none."""
    if protocol not in KEEPS_EMPTY:
        return _without_empty(sent), _without_empty(got)
    located = {
        name
        for name, member in (shape.members.items() if shape is not None else ())
        if protocol != "json" and "location" in member.serialization
    }

    def outside_the_body(side: Values) -> Values:
        return {name: item for name, item in side.items() if name not in located or item not in ({}, [])}

    return outside_the_body(sent), outside_the_body(got)


def content_length(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """Leave out a request's Content-Length: the HTTP client sets that header, whatever the caller said."""
    del protocol
    if shape is None or "ContentLength" not in shape.members or not shape.name.endswith("Request"):
        return sent, got
    left_out = {"ContentLength": None}
    return {**sent, **left_out}, {**got, **left_out}


ARRIVED = (time_is_seconds, metadata, raw_payload, empty_is_absent, content_length)
"""Applied in this order, to both sides; the reason is each one's docstring."""


def agree(shape: Shape | None, protocol: str, sent: Values, got: Values) -> tuple[Values, Values]:
    """Bring both sides to the form in which they are compared."""
    for rule in ARRIVED:
        sent, got = rule(shape, protocol, sent, got)
    return sent, got


def _seconds(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, dict):
        return {key: _seconds(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_seconds(item) for item in value]
    return value


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        kept_items = [_without_empty(item) for item in value]
        return [item for item in kept_items if item not in ({}, [])]
    return value
