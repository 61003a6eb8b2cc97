"""How an instance's containers are called: over kept connections, with a time limit and retries, one container after the other."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Address = tuple[str, int]
LONGEST_ERROR = 1000
LONGEST_ANSWER = 256 << 20
"""Bytes of an answer: it is held in memory until it is written. Unverified: AWS names no limit."""
CONNECT_S = 3.0  # as of an endpoint's containers
PARAMETERS_S = 5.0


class TransformError(Exception):
    """An answer that is none; the message is what the data log says."""


class Client:
    """Calls the containers of one instance; from several threads, each with connections of its own.

    `has_ended`: whether a container has died, and its address may be another's by now.
    """

    def __init__(
        self, addresses: Sequence[Address], has_ended: Callable[[], bool], timeout_s: float, retries: int
    ) -> None:
        self._addresses, self._has_ended, self._timeout_s, self._retries = addresses, has_ended, timeout_s, retries
        self._local = threading.local()
        self._open: set[http.client.HTTPConnection] = set()
        self._is_aborted = False

    def abort(self) -> None:
        """Break off what is being done; nothing is sent again."""
        self._is_aborted = True
        for connection in list(self._open):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def parameters(self) -> dict[str, Any]:
        """Return what the first container answers at /execution-parameters; nothing where it has no such path."""
        connection = http.client.HTTPConnection(*self._addresses[0], timeout=PARAMETERS_S)
        try:
            connection.request("GET", "/execution-parameters")
            answer = connection.getresponse()
            parameters = json.loads(answer.read(1 << 16)) if answer.status == http.client.OK else {}
        except (OSError, ValueError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
        return parameters if isinstance(parameters, dict) else {}

    def invoke(self, body: bytes | IO[bytes], headers: Mapping[str, str]) -> bytes:
        """Send a body through all containers and return the last one's answer. TransformError."""
        answer: bytes | IO[bytes] = body
        for place, address in enumerate(self._addresses):
            last = place == len(self._addresses) - 1
            sent = headers if last else {k: v for k, v in headers.items() if k != "Accept"}
            answer, content_type = self._send(address, answer, sent)
            headers = {**headers, **({"Content-Type": content_type} if content_type else {})}
        assert isinstance(answer, bytes)
        return answer

    def _send(self, address: Address, body: bytes | IO[bytes], headers: Mapping[str, str]) -> tuple[bytes, str]:
        tries = 1 + (self._retries if isinstance(body, bytes) else 0)  # a stream cannot be sent a second time
        for number in range(1, tries + 1):
            try:
                status, content_type, answer = self._once(address, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._drop(address)
                failure = f"ClientError: the model server did not answer: {error!r}"
            else:
                if status < 300:
                    return answer, content_type
                failure = f"ClientError: {status}\nMessage: {answer[:LONGEST_ERROR].decode(errors='replace')}"
                if status < 500:
                    break
            if number == tries or self._is_aborted or self._has_ended():
                break
        raise TransformError(failure)

    def _once(self, address: Address, body: bytes | IO[bytes], headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        connection = self._connection(address)
        connection.request("POST", "/invocations", body, dict(headers), encode_chunked=not isinstance(body, bytes))
        answer = connection.getresponse()
        content = answer.read(LONGEST_ANSWER + 1)
        if len(content) > LONGEST_ANSWER:
            self._drop(address)
            raise TransformError(f"ClientError: the answer is longer than {LONGEST_ANSWER} bytes")
        return answer.status, answer.headers.get("Content-Type", ""), content

    def _connection(self, address: Address) -> http.client.HTTPConnection:
        kept: dict[Address, http.client.HTTPConnection] = self._local.__dict__.setdefault("kept", {})
        if address not in kept:
            made = http.client.HTTPConnection(*address, timeout=CONNECT_S)
            made.connect()
            made.sock.settimeout(self._timeout_s)
            if self._has_ended():  # Docker gives a dead container's address to the next one
                made.close()
                raise ConnectionError("the container has ended")
            kept[address] = made
            self._open.add(made)
        return kept[address]

    def _drop(self, address: Address) -> None:
        connection = self._local.__dict__.get("kept", {}).pop(address, None)
        if connection is not None:
            self._open.discard(connection)
            connection.close()
