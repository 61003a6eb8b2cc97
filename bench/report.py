"""Figures side by side, with their ratio."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """One bench's figures: a peer (or a limit) and ours."""

    title: str
    peer: str
    mine: str
    rows: list[tuple[str, float, float, float]] = field(default_factory=list)

    def row(self, what: str, peer: float, mine: float, *, less_is_better: bool = False) -> None:
        """Add a line; the ratio is how many times better ours is."""
        ratio = peer / mine if less_is_better else mine / peer
        self.rows.append((what, peer, mine, ratio))

    def show(self) -> None:
        """Print as a Markdown table."""
        print(f"\n### {self.title}\n\n| | {self.peer} | {self.mine} | ours is better by |\n|---|---|---|---|")
        for what, peer, mine, ratio in self.rows:
            print(f"| {what} | {_number(peer)} | {_number(mine)} | {ratio:.2f}× |")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
