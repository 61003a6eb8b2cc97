"""smithy-rpc-v2-cbor: `POST /service/<target>/operation/<name>`, one CBOR map each way.

Source: Smithy's rpcv2Cbor page. Reading takes what cbor2 parses through the rules of JSON's values (types checked, times
and numbers converted); tags other than 1 (epoch seconds) have no place in this protocol and are refused, as are lengths
and depths that only an attack has.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import cbor2

from server.protocol import json_read
from server.protocol.failures import error_shape, message_member, query_error, refuse, status_of
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel, ServiceModel, Shape

    from backends.core.errors import AwsError
    from server.types import HttpRequest

    Convert = Callable[[Any], Any]

HEADER = ("smithy-protocol", "rpc-v2-cbor")
CONTENT_TYPE = "application/cbor"
TIME_TAG = 1
# Every other tag that cbor2 gives a meaning: big numbers, fractions, regular expressions, shared references, ...
REFUSED_TAGS = (0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)


def operation_name(path: str) -> str:
    """Return the operation that a path names; empty when it names none."""
    parts = path.split("/")
    return parts[4] if len(parts) == 5 and parts[1] == "service" and parts[3] == "operation" else ""


def target(path: str) -> str:
    """Return the service's target prefix that a path names; empty when it names none."""
    return path.split("/")[2] if operation_name(path) else ""


def parse(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Read a request; an empty body is an empty map. Raises SerializationException."""
    shape = operation.input_shape
    document = load(request.body) if request.body else {}
    if shape is None:
        return {}
    result: dict[str, Any] = json_read.reader(operation.service_model, shape)(document)
    return result


def load(body: bytes) -> Any:
    """Parse a CBOR body; raises SerializationException for anything but plain values, text keys and times."""
    try:
        return cbor2.loads(
            body,
            tag_hook=_no_tag,
            object_hook=_text_keys,
            semantic_decoders=DECODERS,
            max_depth=json_read.MAX_DEPTH,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise refuse("Unable to parse the request: it is not a CBOR document.") from error


def _time(value: Any, _immutable: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise cbor2.CBORDecodeError("a time is a number of seconds")
    return float(value)


def _no_tag(_value: Any, _immutable: bool) -> Any:
    raise cbor2.CBORDecodeError("no such tag")


def _text_keys(pairs: Mapping[Any, Any], _immutable: bool) -> Mapping[Any, Any]:
    if not all(type(key) is str for key in pairs):
        raise cbor2.CBORDecodeError("keys are text")
    return pairs


DECODERS: dict[int, Callable[..., Any]] = {TIME_TAG: _time} | dict.fromkeys(REFUSED_TAGS, _no_tag)


def serialize(operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
    """Write an answer; `bytes` are a CBOR document already. An operation without output has an empty body."""
    headers = [("x-amzn-RequestId", request_id), HEADER]
    shape = operation.output_shape
    if isinstance(result, bytes):
        return HttpResponse(200, [*headers, ("Content-Type", CONTENT_TYPE)], result)
    if shape is None:
        return HttpResponse(200, headers, b"")
    body = cbor2.dumps(writer(operation.service_model, shape)(result))
    return HttpResponse(200, [*headers, ("Content-Type", CONTENT_TYPE)], body)


def serialize_error(
    service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
) -> HttpResponse:
    """Write an error: `__type` is the absolute id of its shape; query's code goes along in a header."""
    del operation  # the same for all
    shape = error_shape(service, error)
    namespace = f"com.amazonaws.{service.service_id.lower().replace(' ', '')}"
    document: dict[str, Any] = {"__type": f"{namespace}#{shape.name if shape is not None else error.code}"}
    if error.message:
        document[message_member(shape, "message")] = error.message
    if shape is not None:
        document |= writer(service, shape)(error.members)
    status = status_of(shape, error)
    headers = [("x-amzn-RequestId", request_id), HEADER, ("Content-Type", CONTENT_TYPE)]
    headers += query_error(service, shape, error, status)
    return HttpResponse(status, headers, cbor2.dumps(document))


@cache
def writer(service: ServiceModel, shape: Shape) -> Convert:
    """Return what turns an internal value of this shape into what cbor2 writes."""
    return _writer(shape, _structures(service)) or _same


@cache
def _structures(service: ServiceModel) -> dict[str, Convert]:  # noqa: ARG001 - the key: one compiled set per model
    return {}


def _same(value: Any) -> Any:
    return value


def _writer(shape: Shape, structures: dict[str, Convert]) -> Convert | None:
    kind = shape.type_name
    if kind == "structure":
        if shape.name not in structures:
            structures[shape.name] = _structure(shape, structures)
        return structures[shape.name]
    if kind in {"list", "map"}:
        item_shape = shape.member if kind == "list" else shape.value
        write = _writer(item_shape, structures)
        if write is None:
            return None
        if kind == "list":
            return lambda value: [write(item) for item in value]
        return lambda value: {key: write(item) for key, item in value.items()}
    return SCALARS.get(kind)


def _tagged(seconds: float) -> cbor2.CBORTag:
    return cbor2.CBORTag(TIME_TAG, int(seconds) if float(seconds).is_integer() else float(seconds))


SCALARS: dict[str, Convert] = {"timestamp": _tagged, "float": float, "double": float}
"""The scalars that cbor2 would write otherwise than the model says."""


def _structure(shape: Shape, structures: dict[str, Convert]) -> Convert:
    rules: dict[str, tuple[str, Convert | None]] | None = None

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        nonlocal rules
        if rules is None:
            rules = {
                name: (member.serialization.get("name", name), _writer(member, structures))
                for name, member in shape.members.items()
            }
        out = {}
        for name, item in value.items():
            rule = rules.get(name)
            if rule is not None and item is not None:
                out[rule[0]] = item if rule[1] is None else rule[1](item)
        return out

    return convert
