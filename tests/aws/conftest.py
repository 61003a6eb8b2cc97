"""CloudWatch and CloudWatch Logs through boto3, on an account whose clock the tests can move."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import LiveServer

START = 1_767_225_600.0  # a whole day, 2026-01-01


@dataclass
class AccountClock:
    """The clock of the test's account; `to` and `forward` move it, `now` reads it."""

    url: str
    account: str

    def _post(self, document: dict[str, Any]) -> float:
        body = json.dumps({"account": self.account} | document).encode()
        request = urllib.request.Request(f"{self.url}/_localmaker/clock", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return float(json.loads(answer.read())["now"])

    def to(self, at: float) -> float:
        """Put it to a time."""
        return self._post({"offset_s": at - time.time()})

    def forward(self, seconds: float) -> float:
        """Put it forward."""
        return self._post({"advance_s": seconds})


@pytest.fixture
def clock(server: LiveServer, account: str) -> AccountClock:
    return AccountClock(server.url, account)


@pytest.fixture
def cloudwatch(aws: Callable[..., Any]) -> Any:
    """Return a boto3 client, which speaks CBOR."""
    return aws("cloudwatch")


@pytest.fixture
def at_start(clock: AccountClock) -> Iterator[float]:
    """Put the account's clock to one hour after START, where the tests' points begin."""
    clock.to(START + 3600)
    yield START
    clock.to(time.time())


def until(what: Callable[[], Any], *, timeout_s: float = 20.0) -> Any:
    """Wait for a loop of the server, another process, to have done something."""
    deadline = time.monotonic() + timeout_s
    while not (value := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return value
