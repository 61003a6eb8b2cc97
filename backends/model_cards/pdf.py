"""A model card as a PDF: its head, then each section of its content in the order of the schema.

Written with fpdf2 and the fonts that every reader has, which know Latin-1: any other character becomes a question mark.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from api_specs.model_card import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEEPEST = 6
INDENT_MM, LINE_MM, FONT = 6, 5, "helvetica"


def render(card: Mapping[str, Any], content: Mapping[str, Any], now: float) -> bytes:
    """Return the PDF of a card; `now` is the time that it says it was made."""
    from fpdf import FPDF  # slow to import

    page = FPDF()
    page.set_creation_date(datetime.fromtimestamp(now, UTC))
    page.set_title(_latin(card["ModelCardName"]))
    page.add_page()
    page.set_font(FONT, style="B", size=18)
    page.multi_cell(0, 2 * LINE_MM, _latin(card["ModelCardName"]), new_x="LMARGIN", new_y="NEXT")
    page.set_font(FONT, size=10)
    for line in _head(card):
        page.multi_cell(0, LINE_MM, _latin(line), new_x="LMARGIN", new_y="NEXT")
    for section in [name for name in SECTIONS if name in content]:
        page.ln(LINE_MM)
        page.set_font(FONT, style="B", size=13)
        page.multi_cell(0, 2 * LINE_MM, _latin(_words(section)), new_x="LMARGIN", new_y="NEXT")
        page.set_font(FONT, size=10)
        for depth, line in lines_of(content[section]):
            page.set_x(page.l_margin + INDENT_MM * depth)
            page.multi_cell(0, LINE_MM, _latin(line), new_x="LMARGIN", new_y="NEXT")
    return bytes(page.output())


def _head(card: Mapping[str, Any]) -> Iterator[str]:
    yield f"Version {card['ModelCardVersion']}, {card['ModelCardStatus']}"
    yield str(card["ModelCardArn"])
    for member in ("CreationTime", "LastModifiedTime"):
        moment = datetime.fromtimestamp(card[member], UTC).isoformat(timespec="seconds")
        yield f"{_words(member.replace('Time', '_time').lower())}: {moment}"


def lines_of(value: Any, depth: int = 0) -> Iterator[tuple[int, str]]:
    """Yield the lines of a value, each with how far it is indented; what lies deeper than DEEPEST is JSON."""
    if depth >= DEEPEST or not isinstance(value, (dict, list)):
        yield depth, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return
    named = value.items() if isinstance(value, dict) else ((str(number), item) for number, item in enumerate(value, 1))
    for name, inner in named:
        if isinstance(inner, (dict, list)):
            yield depth, f"{_words(name)}:"
            yield from lines_of(inner, depth + 1)
        else:
            ((_, text),) = lines_of(inner)
            yield depth, f"{_words(name)}: {text}"


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _latin(text: str) -> str:
    """Return a text in the characters that the font has, without those that move the pen."""
    shown = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return shown.encode("latin-1", "replace").decode("latin-1")
