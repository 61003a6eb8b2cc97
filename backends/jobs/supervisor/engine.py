"""Just enough of the Docker Engine API, by `http.client` over the engine's socket.

docker-py would cost every job its 150 ms of import; the server, which stays, uses it. Paths carry no version, so the
engine answers with its own. Source: Docker Engine API v1.41.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any


class EngineError(Exception):
    """An answer of 400 and above, or no answer at all (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Engine:
    """An engine at `unix:///path` or `tcp://host:port`. Every call has a connection of its own: threads may share it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a call; gives the JSON of the answer, None where it has none. Raises EngineError."""
        response, connection = self._send(method, path, body)
        try:
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(0, str(error)) from error
        finally:
            connection.close()
        return json.loads(data) if data.strip() else None

    def stream(self, path: str) -> http.client.HTTPResponse:
        """Open a GET whose answer is read as it comes. Raises EngineError."""
        return self._send("GET", path, None)[0]

    def _send(self, method: str, path: str, body: Any) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        connection = self._connection()
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            if response.status < 400:
                return response, connection
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise EngineError(0, f"No Docker engine answers at {self._url}: {error}") from error
        connection.close()
        raise EngineError(response.status, _message(text))

    def _connection(self) -> http.client.HTTPConnection:
        if self._url.startswith("unix://"):
            return _UnixConnection(self._url.removeprefix("unix://"))
        return http.client.HTTPConnection(self._url.split("://", 1)[-1].rstrip("/"))


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
