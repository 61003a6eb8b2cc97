r"""Java regular expressions of the model, as Python's `re` understands them.

The model's patterns are `java.util.regex`: `\p{L}` classes, surrogate pairs, `\z`, a `.` that stops at five line ends,
ASCII-only `\d \w \s`. Each pattern is compiled twice, lazily: once for ASCII values (where `\p{L}` is simply `A-Za-z`;
nearly every value) and once for all of Unicode.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ASSIGNED = (range(0x34000), range(0xE0000, 0xE0200))
"""Where Unicode has assigned letters, marks, numbers, punctuation, symbols and separators; the rest need no look."""

POSIX = {
    "ASCII": r"\x00-\x7F",
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1F\x7F",
    "Digit": "0-9",
    "Graph": r"\x21-\x7E",
    "Lower": "a-z",
    "Print": r"\x20-\x7E",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r" \t\n\x0B\f\r",
    "Upper": "A-Z",
    "XDigit": "0-9a-fA-F",
}
"""Java's POSIX classes (US-ASCII only), as the inside of a Python class."""

LINE_ENDS = "\\n\\r\\x85\\u2028\\u2029"

ANY_TEXT = r"[^\x85\u2028\u2029]*"
EQUIVALENTS = {
    # `.*(?:[ \r\n\t].*)*` lets a blank be eaten by either part: a value of blanks that fails at its end takes
    # exponential time. What it means is: every character but the three line ends that only Java knows.
    r".*(?:[ \r\n\t].*)*": ANY_TEXT,
    r".*(?:[ \r\n\t].*)*.*": ANY_TEXT,
    # One repetition of the group can hold all that several can.
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    # Three or more of these characters, single slashes between; the upper count follows from the length of 1,024.
    r"https://([.\-_a-zA-Z0-9]+/?){3,1016}": r"https://[.\-_a-zA-Z0-9](/?[.\-_a-zA-Z0-9]){2,}/?",
    # Quadratic in a header without a length of its own, unless line ends are looked for first.
    r"\/?.+\/.+": rf"(?=[^{LINE_ENDS}]*\Z)/?.+/.+",
}
"""Patterns replaced by an equal one, because the original can run away on hostile values."""


class UntranslatableError(ValueError):
    """The pattern uses a construct that no model used so far; extend the translation, with a test."""


@cache
def matcher(java: str) -> Callable[[str], bool]:
    """Return a function that tells whether a whole value matches the pattern (Java's `matches()`)."""
    in_ascii = re.compile(translate(java, ascii_only=True), re.ASCII).fullmatch

    def matches(value: str) -> bool:
        if value.isascii():
            return in_ascii(value) is not None
        return _in_unicode(java)(value) is not None

    return matches


@cache
def _in_unicode(java: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(translate(java, ascii_only=False), re.ASCII).fullmatch


def translate(java: str, *, ascii_only: bool) -> str:
    """Return the Python pattern; with `ascii_only` it is right for ASCII values only, and much smaller."""
    if java in EQUIVALENTS:
        return EQUIVALENTS[java]
    source = re.sub(r"\\u(D[89AB][0-9A-F]{2})\\u(D[C-F][0-9A-F]{2})", _join_surrogates, java, flags=re.IGNORECASE)
    out: list[str] = []
    at = 0
    while at < len(source):
        piece, at = _outside(source, at, ascii_only=ascii_only)
        out.append(piece)
    return "".join(out)


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = int(match[1], 16), int(match[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _outside(source: str, at: int, *, ascii_only: bool) -> tuple[str, int]:
    """Translate one construct that stands outside a class; give it and where the next one begins."""
    char = source[at]
    if char == "\\":
        content, negated, after = _escape(source, at, ascii_only=ascii_only)
        if content is None:
            return _plain_escape(source, at, after), after
        return _as_class(content, negated=negated), after
    if char == "[":
        return _class(source, at, ascii_only=ascii_only)
    if char == ".":
        return f"[^{LINE_ENDS}]", at + 1
    if char == "$":
        # Java takes `${1,128}` as a repeated anchor, which is the anchor; Python refuses it.
        repeat = re.compile(r"\{[1-9]\d*(,\d*)?\}").match(source, at + 1)
        return "$", repeat.end() if repeat else at + 1
    return char, at + 1


def _class(source: str, at: int, *, ascii_only: bool) -> tuple[str, int]:
    """Translate one `[...]`; give it and where the next construct begins."""
    start = at
    at += 1
    negated = source[at] == "^"
    at += negated
    parts: list[str] = []
    after_set = False
    while source[at] != "]" or not parts:
        char = source[at]
        was_set, after_set = after_set, False
        if char == "\\":
            content, complement, after = _escape(source, at, ascii_only=ascii_only)
            if content is None:
                parts.append(_plain_escape(source, at, after))
                after_set = source[at + 1] in "wdsWDS"
            else:
                parts.append(_complement(source[at:after]) if complement else content)
                after_set = True
            at = after
            continue
        if char == "[" or source.startswith("&&", at):
            message = f"nested or intersected class at {start} in {source!r}"
            raise UntranslatableError(message)
        # `[\w-_]`: a dash after a set is itself to Java; a doubled sign would become a set operation in Python.
        parts.append("\\" + char if (char == "-" and (was_set or source[at + 1] == "-")) or char in "~|&" else char)
        at += 1
    return _as_class("".join(parts), negated=negated), at + 1


def _as_class(content: str, *, negated: bool) -> str:
    if not content:  # a Unicode class that has no ASCII member: nothing matches it, and everything its negation
        return r"[\s\S]" if negated else "(?!)"
    return f"[{'^' if negated else ''}{content}]"


def _complement(escape: str) -> str:
    message = f"{escape} inside a class"
    raise UntranslatableError(message)


def _escape(source: str, at: int, *, ascii_only: bool) -> tuple[str | None, bool, int]:
    """Read the escape at `at`: its class content (None for a plain escape), whether negated, and where it ends."""
    letter = source[at + 1]
    if letter in "pP":
        name, after = _property_name(source, at + 2)
        return _property_class(name, ascii_only=ascii_only), letter == "P", after
    if letter == "h":
        return r" \t\xA0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000", False, at + 2
    width = {"u": 6, "U": 10, "x": 4}.get(letter, 2)
    return None, False, at + width


def _plain_escape(source: str, at: int, after: int) -> str:
    text = source[at:after]
    if text == r"\z":
        return r"\Z"
    if text == r"\Z":
        return r"(?=\n?\Z)"
    if text[1].isalpha() and text[1] not in "AbBdDsSwWnrtfavuUx":
        message = f"{text} in {source!r}"
        raise UntranslatableError(message)
    return text


def _property_name(source: str, at: int) -> tuple[str, int]:
    if source[at] != "{":
        return source[at], at + 1
    end = source.index("}", at)
    return source[at + 1 : end], end + 1


@cache
def _property_class(name: str, *, ascii_only: bool) -> str:
    if name in POSIX:
        return POSIX[name]
    category = name.removeprefix("Is")
    if category not in _categories():
        message = rf"\p{{{name}}}"
        raise UntranslatableError(message)
    codes = _codes_by_category(ascii_only=ascii_only)
    members = [code for kind, codes_of_kind in codes.items() if kind.startswith(category) for code in codes_of_kind]
    return "".join(_range(low, high) for low, high in _runs(sorted(members)))


def _range(low: int, high: int) -> str:
    first, last = re.escape(chr(low)), re.escape(chr(high))
    return first if low == high else f"{first}-{last}"


@cache
def _categories() -> frozenset[str]:
    """Return the general categories of Unicode and their groups, as the patterns name them."""
    groups = {"L": "ultmo", "M": "nce", "N": "dlo", "P": "cdseifo", "S": "mcko", "Z": "slp"}
    return frozenset(groups) | {group + kind for group, kinds in groups.items() for kind in kinds}


@cache
def _codes_by_category(*, ascii_only: bool) -> dict[str, list[int]]:
    """Sort the code points into their general categories (all of Unicode: about 30 ms, once)."""
    codes: dict[str, list[int]] = defaultdict(list)
    for plane in (range(128),) if ascii_only else ASSIGNED:
        for code in plane:
            codes[unicodedata.category(chr(code))].append(code)
    return codes


def _runs(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Join ascending code points to inclusive ranges."""
    runs: list[tuple[int, int]] = []
    for code in codes:
        if runs and runs[-1][1] == code - 1:
            runs[-1] = (runs[-1][0], code)
        else:
            runs.append((code, code))
    return runs
