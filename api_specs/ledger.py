"""The ledger, `coverage.toml`: what is built of every operation of the services that LocalMaker answers itself."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from api_specs import model

FILE = Path(__file__).parent / "coverage.toml"
STATES = ("done", "partial", "waits", "refused", "moto")
"""From best to worst, as far as an operation's own Create is concerned."""
FED = ("Describe", "List", "Update", "Start", "Stop", "Delete")
"""The verbs that have nothing to work on without their noun's Create: they never rank above it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One operation: its state, and what is missing (`partial`), or has to be built first (`waits`)."""

    state: str
    missing: str = ""


@cache
def ledger() -> dict[str, dict[str, Line]]:
    """Read the ledger: service -> operation -> line; what a Create feeds is no better than that Create."""
    written = tomllib.loads(FILE.read_text(encoding="utf-8"))
    lines = {service: {name: _line(text) for name, text in each.items()} for service, each in written.items()}
    own = lines["sagemaker"]
    for noun in (name.removeprefix("Create") for name in list(own) if name.startswith("Create")):
        created = own[f"Create{noun}"]
        for name in (*(f"{verb}{noun}" for verb in FED), model.list_operation(noun)):
            if name in own and STATES.index(own[name].state) < STATES.index(created.state):
                own[name] = Line(created.state, created.missing if created.state == "waits" else f"as Create{noun}")
    return lines


def line(service: str, operation: str) -> Line:
    """Return the line of one operation; `refused` for one that has none."""
    return ledger().get(service, {}).get(operation, Line("refused"))


def counts() -> dict[str, dict[str, int]]:
    """Count, for each service, the operations in each state."""
    return {
        service: {state: sum(line.state == state for line in lines.values()) for state in STATES}
        for service, lines in ledger().items()
    }


def as_json() -> dict[str, Any]:
    """Return all of it: counts by service and state, and every operation's state and what is missing."""
    operations = {
        service: {
            name: {"state": entry.state, **({"missing": entry.missing} if entry.missing else {})}
            for name, entry in lines.items()
        }
        for service, lines in ledger().items()
    }
    return {"counts": counts(), "operations": operations}


def _line(text: str) -> Line:
    state, _, missing = text.partition(": ")
    return Line(state, missing)
