"""The ledger, `coverage.toml`: what is built of every operation of the services that LocalMaker answers itself."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "coverage.toml"
STATES = ("done", "partial", "refused", "moto")


@dataclass(frozen=True, slots=True)
class Line:
    """One operation: its state, and for a partial one the sentence that says what is missing."""

    state: str
    missing: str = ""


@cache
def ledger() -> dict[str, dict[str, Line]]:
    """Read the ledger: service -> operation -> line."""
    written = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {service: {name: _line(text) for name, text in lines.items()} for service, lines in written.items()}


def counts() -> dict[str, dict[str, int]]:
    """Count, for each service, the operations in each state."""
    return {
        service: {state: sum(line.state == state for line in lines.values()) for state in STATES}
        for service, lines in ledger().items()
    }


def _line(text: str) -> Line:
    state, _, missing = text.partition(": ")
    return Line(state, missing)
