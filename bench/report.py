"""Figures side by side, with their ratio and their goal; printed, or written into bench/README.md between markers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

README = Path(__file__).with_name("README.md")


@dataclass(frozen=True)
class Row:
    """One figure. `peer` may be None: then ours stands alone. `ratio`: how many times better ours is."""

    what: str
    peer: float | None
    own: float
    ratio: float | None
    goal: str
    met: bool | None


@dataclass
class Table:
    """One bench's figures: a peer (or a limit) and ours."""

    title: str
    peer: str
    own: str = "LocalMaker"
    rows: list[Row] = field(default_factory=list)

    def row(
        self, what: str, peer: float | None, own: float, *, less: bool = False,
        at_least: float | None = None, at_most: float | None = None,
    ) -> None:  # fmt: skip
        """Add a line. `less`: less is better. Goals: ours is at least so many times better, or at most so large."""
        ratio = None if peer is None else peer / own if less else own / peer
        goal, met = "", None
        if at_least is not None and ratio is not None:
            goal, met = f"≥ {at_least:g}x", ratio >= at_least
        if at_most is not None:
            goal = f"{goal}, ≤ {at_most:g}" if goal else f"≤ {at_most:g}"
            met = own <= at_most and met is not False
        self.rows.append(Row(what, peer, own, ratio, goal, met))
        print(f"  {self.title}: {_line(self.rows[-1])}", flush=True)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        head = f"**{self.title}**\n\n| | {self.peer} | {self.own} | better by | goal | |\n|---|---|---|---|---|---|\n"
        return head + "\n".join(_line(row) for row in self.rows) + "\n"


def _line(row: Row) -> str:
    peer = "" if row.peer is None else _number(row.peer)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    verdict = "" if row.met is None else "met" if row.met else "**missed**"
    return f"| {row.what} | {peer} | {_number(row.own)} | {ratio} | {row.goal} | {verdict} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(name: str, tables: list[Table]) -> None:
    """Put a bench's tables between its markers in bench/README.md."""
    text = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    assert begin in text, f"bench/README.md has no marker {begin}"
    body = "\n".join(table.markdown() for table in tables)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    README.write_text(pattern.sub(lambda _: f"{begin}\n{body}{end}", text), encoding="utf-8")
