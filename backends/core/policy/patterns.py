"""Wildcards and policy variables: `*` is any run of characters, `?` any one, `${aws:username}` a value of the request.

A variable that the request does not carry makes its pattern match nothing, unless it names a default:
`${aws:PrincipalTag/team, 'none'}`. `${*}`, `${?}` and `${$}` are the characters themselves. What a variable stands for is
taken as it is: a `*` in a user's name is no wildcard.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ARN_PARTS = 6
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PIECES = re.compile(r"(\$\{[^}]*\}|[*?])")
LITERALS = frozenset("*?$")
NEVER = r"(?!)"


def _source(
    pattern: str, context: Mapping[str, tuple[str, ...]], *, variables: bool, character: str = "."
) -> str | None:
    """Write a pattern as a regular expression; None when a variable of it has no value. `one`: what `?` stands for."""
    chunks = [""]  # what stands between the stars
    for piece in _PIECES.split(pattern):
        if piece == "*":
            chunks.append("")
        elif piece == "?":
            chunks[-1] += character
        elif variables and piece.startswith("${"):
            value = _value(piece[2:-1].strip(), context)
            if value is None:
                return None
            chunks[-1] += re.escape(value)
        else:
            chunks[-1] += re.escape(piece)
    if len(chunks) == 1:
        return chunks[0]
    # Atomic: the first place where a chunk fits is as good as any later one, so nothing is tried twice.
    middle = "".join(f"(?>{character}*?{chunk})" for chunk in chunks[1:-1])
    return f"{chunks[0]}{middle}{character}*{chunks[-1]}"


def substitute(text: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    """Put values for variables, where wildcards mean nothing; None when one has no value."""
    if "${" not in text:
        return text
    values = [_value(name.strip(), context) for name in _VARIABLE.findall(text)]
    if None in values:
        return None
    replacements = iter(values)
    return _VARIABLE.sub(lambda _: next(replacements) or "", text)


def _value(name: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
    if name in LITERALS:
        return name
    key, comma, rest = name.partition(",")
    rest = rest.strip()
    has_default = bool(comma) and len(rest) > 1 and rest[0] == rest[-1] == "'" and rest.count("'") == 2
    values = context.get((key.rstrip() if has_default else name).lower(), ())
    if len(values) == 1:  # a key of several values is no variable
        return values[0]
    return rest[1:-1] if has_default else None


@lru_cache(4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_source(pattern, {}, variables=False) or "", re.DOTALL)


def any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for all of a statement's actions, which ignore case."""
    return re.compile("|".join(f"(?:{_source(pattern, {}, variables=False)})" for pattern in patterns), re.IGNORECASE)


def like(pattern: str, text: str, context: Mapping[str, tuple[str, ...]], *, variables: bool = True) -> bool:
    """Return whether a whole text matches a pattern."""
    if not variables or "${" not in pattern:
        return _compiled(pattern).fullmatch(text) is not None
    source = _source(pattern, context, variables=True)
    return source is not None and re.fullmatch(source, text, re.DOTALL) is not None


def arn_like(pattern: str, arn: str, context: Mapping[str, tuple[str, ...]], *, variables: bool = True) -> bool:
    """Return whether an ARN matches part by part: a wildcard stays within its part, except at the pattern's end.

    `*` alone matches anything, also what is no ARN (the `*` of actions that know no resources).
    """
    if pattern == "*":
        return True
    if not variables or "${" not in pattern:
        return _arn_compiled(pattern).fullmatch(arn) is not None
    source = _arn_source(pattern, context, variables=True)
    return source is not None and re.fullmatch(source, arn, re.DOTALL) is not None


@lru_cache(4096)
def _arn_compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_arn_source(pattern, {}, variables=False) or "", re.DOTALL)


def _arn_source(pattern: str, context: Mapping[str, tuple[str, ...]], *, variables: bool) -> str | None:
    *parts, last = split_arn(pattern) if variables else pattern.split(":", ARN_PARTS - 1)
    if len(parts) < ARN_PARTS - 1 and not last.endswith("*"):
        return NEVER
    sources = []
    for part, character in (*((part, "[^:]") for part in parts), (last, ".")):
        source = _source(part, context, variables=variables, character=character)
        if source is None:
            return None
        sources.append(source)
    return ":".join(sources)


@lru_cache(4096)
def split_arn(pattern: str) -> tuple[str, ...]:
    """Split a pattern at its colons, at most into the six parts of an ARN; those inside a variable's name are none."""
    parts: list[str] = []
    current, at = "", 0
    while at < len(pattern):
        if pattern.startswith("${", at) and "}" in pattern[at:]:
            end = pattern.index("}", at) + 1
            current, at = current + pattern[at:end], end
        elif pattern[at] == ":" and len(parts) < ARN_PARTS - 1:
            parts.append(current)
            current, at = "", at + 1
        else:
            current, at = current + pattern[at], at + 1
    return (*parts, current)
