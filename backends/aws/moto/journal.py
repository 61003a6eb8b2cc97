"""What a request to moto did outside of moto, so that a replay neither does it again nor sees another outcome.

Moto has one thread, and a request at a time is open on it.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from backends.core.types import Caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.aws.moto.wsgi import MotoRequest
    from backends.core.kernel import Kernel

CALLER = "x-localmaker-caller"
"""The header in which moto's requests carry the ARN of who signed them."""


class RefusedError(Exception):
    """What a request wanted done outside of moto was refused; the text says by whom and why."""


@dataclass
class Journal:
    """The outcomes of one request, in order: written while it is answered, read while it is replayed.

    `made`: how many resources it has made, each written down with its own transaction until the request is recorded.
    """

    kernel: Kernel
    account: str
    caller: Caller
    is_replay: bool = False
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    position: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    made: int = 0

    @property
    def is_of_before(self) -> bool:
        """Return whether this is a replay of what a version recorded that did nothing outside of moto."""
        return self.is_replay and not self.outcomes

    def do(self, work: Callable[[], Any]) -> Any:
        """Do something and return its outcome, which can be written as JSON. RefusedError, now as in a replay."""
        if self.is_replay:
            self.position += 1
            outcome = self.outcomes[self.position - 1] if self.position <= len(self.outcomes) else {"refused": "lost"}
        else:
            try:
                outcome = {"done": work()}
            except RefusedError as error:
                outcome = {"refused": str(error)}
            self.outcomes.append(outcome)
        if "refused" in outcome:
            raise RefusedError(outcome["refused"])
        return outcome["done"]

    def written(self) -> bytes | None:
        """Return the outcomes to be recorded; None for none."""
        return orjson.dumps(self.outcomes) if self.outcomes else None


_OPEN: list[Journal] = []


def current() -> Journal:
    """Return the journal of the request that moto answers now."""
    return _OPEN[-1]


@contextmanager
def opened(
    kernel: Kernel, request: MotoRequest, recorded: bytes | None = None, *, is_replay: bool = False
) -> Iterator[Journal]:
    """Open the journal of a request; `recorded`: what its first run has written."""
    outcomes = orjson.loads(recorded) if recorded and recorded[:1] == b"[" else []
    signed = request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
    caller = Caller(unquote(signed), request.headers.get(CALLER, ""))
    _OPEN.append(Journal(kernel, request.account, caller, is_replay, outcomes))
    try:
        yield _OPEN[-1]
    finally:
        _OPEN.pop()
