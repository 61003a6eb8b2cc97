"""Write docs/coverage.md and docs/coverage.json, what is built of every operation, from api_specs/coverage.toml."""

import json
from collections.abc import Iterator
from pathlib import Path

from api_specs import ledger

DOCS = Path(__file__).resolve().parent
HEAD = """# What is built

Written by `python docs/coverage.py` from [api_specs/coverage.toml](../api_specs/coverage.toml); [coverage.json](coverage.json) has the same for
programs, and so does `localmaker coverage --json`.

- **done**: the whole life cycle, tested. What only reads or ends what a Create makes is never above that Create.
- **partial**: the main effect works and is tested; what is missing is said.
- **waits**: a Create answers 501 (`NotImplemented`) until what it needs is built; its List is an empty page, the rest AWS's not-found.
- **refused**: 501. **moto**: answered by moto, a record behind which nothing stands.
"""


def main() -> None:
    """Write both files."""
    (DOCS / "coverage.md").write_text(page(), encoding="utf-8")
    (DOCS / "coverage.json").write_text(as_json(), encoding="utf-8")


def as_json() -> str:
    """Return the ledger as JSON."""
    return json.dumps(ledger.as_json(), indent=1) + "\n"


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_counts(), *_services()]) + "\n"


def _counts() -> Iterator[str]:
    yield f"| service | {' | '.join(ledger.STATES)} | together |"
    yield "|---|" + "---:|" * (len(ledger.STATES) + 1)
    for service, counts in ledger.counts().items():
        shown = " | ".join(str(counts[state] or "") for state in ledger.STATES)
        yield f"| [{service}](#{service}) | {shown} | {sum(counts.values())} |"


def _services() -> Iterator[str]:
    for service, lines in ledger.ledger().items():
        yield f"\n## {service}\n"
        for state in ledger.STATES:
            yield from _of_state(state, {name: line for name, line in lines.items() if line.state == state})


def _of_state(state: str, lines: dict[str, ledger.Line]) -> Iterator[str]:
    by_missing: dict[str, list[str]] = {}
    for name, line in lines.items():
        by_missing.setdefault(line.missing, []).append(f"`{name}`")
    for missing, names in by_missing.items():
        yield f"- **{state}**{f' ({missing})' if missing else ''}: {', '.join(names)}"


if __name__ == "__main__":
    main()
