"""Requests made wrong: takes a valid one and breaks its bytes, its types or its frame. For fuzz tests."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from server.types import HttpRequest

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 2**31, 2**63, 2**70, 1.5, 1e308, "", "x", "NaN", "\u0000", "\U0010ffff", [], {}, [[]], [None],
    {"": None}, {"a": {"a": {"a": []}}}, "2024-13-45T99:99:99Z", "A" * 5000,
)  # fmt: skip
ODD_BYTES = (
    b"\xff\xfe",
    b"\x00",
    b"%",
    b"&",
    b"=",
    b"<",
    b">",
    b"]]>",
    b'"',
    b"\\ud800",
    b"{",
    b"[" * 300,
    b"%ff",
    b"&#0;",
)


def mutate(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    """Return a copy of the request with one to three things wrong."""
    for _ in range(random_source.randint(1, 3)):
        request = random_source.choice(MUTATIONS)(request, random_source)
    return request


def _bytes(data: bytes, random_source: random.Random) -> bytes:
    at = random_source.randint(0, len(data))
    way = random_source.randrange(4)
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + random_source.choice(ODD_BYTES) + data[at:]
    if way == 2:
        return data[:at] + bytes([random_source.randrange(256)]) + data[at + 1 :]
    return data[:at] + data[at + random_source.randint(1, 8) :]


def _body(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    return dataclasses.replace(request, body=_bytes(request.body, random_source))


def _types(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    """Put a value of another type somewhere in a JSON body; other bodies are broken by bytes."""
    try:
        document = json.loads(request.body)
    except ValueError:
        return _body(request, random_source)
    return dataclasses.replace(request, body=json.dumps(_retype(document, random_source)).encode())


def _retype(value: Any, random_source: random.Random) -> Any:
    places = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not places or random_source.random() < 0.2:
        return random_source.choice(ODD_VALUES)
    at = random_source.choice(places)
    value[at] = _retype(value[at], random_source)
    return value


def _path(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    return dataclasses.replace(request, raw_path=b"/" + _bytes(request.raw_path[1:], random_source))


def _query(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    return dataclasses.replace(request, query_string=_bytes(request.query_string, random_source))


def _header(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    if not request.headers:
        return request
    name = random_source.choice(sorted(request.headers))
    wrong = random_source.choice(["", "x", "-1", "99999999999999999999", "true,", '"', "\u00ff", "Mon, 99 Foo 2024"])
    return dataclasses.replace(request, headers={**request.headers, name: wrong})


def _method(request: HttpRequest, random_source: random.Random) -> HttpRequest:
    return dataclasses.replace(
        request, method=random_source.choice(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "x"])
    )


MUTATIONS: tuple[Callable[[HttpRequest, random.Random], HttpRequest], ...] = (
    _body, _body, _types, _types, _types, _path, _query, _header, _method,
)  # fmt: skip
