"""Paths over rows of CSV that need no reader: lines without quotes are cut at their commas, many at a time, as bytes.

What is chosen here is what `JsonPath` finds in the same rows (`tests/transform/test_columns.py` compares the two); a path or a line
for which that does not hold is left to `csv` and `JsonPath`, many times slower.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.transform.jsonpath import JsonPath

COMMA = b","


class NotPlainError(Exception):
    """The lines are to be read as CSV."""


def chosen(path: JsonPath, lines: list[bytes]) -> list[bytes]:
    """Return what a path chooses of each line. NotPlainError."""
    if path.takes_rows_whole:
        return _checked(lines)
    try:
        return _checked(_picked(path, lines))
    except IndexError as error:  # a row has too few columns
        raise NotPlainError from error


def chosen_of_joined(path: JsonPath, lines: list[bytes], answers: list[bytes]) -> list[bytes]:
    """Return what a path chooses of each line with the columns of its answer behind its own. NotPlainError."""
    numbers = _numbers_of(path)
    if numbers and set(numbers) <= {0, -1} and COMMA not in b"".join(answers):
        columns = [_first(lines) if number == 0 else answers for number in numbers]
        return _checked(_across(columns))
    return chosen(path, list(map(COMMA.join, zip(lines, answers, strict=True))))


def _checked(made: list[bytes]) -> list[bytes]:
    if b"" in made:  # a row of one empty column is written with quotes
        raise NotPlainError
    return made


def check_plain(lines: list[bytes]) -> None:
    """Raise NotPlainError where a line is more than texts between commas."""
    text = b"\n".join(lines)
    if b'"' in text or b"\r" in text:
        raise NotPlainError
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise NotPlainError from error


def _numbers_of(path: JsonPath) -> list[int]:
    """Return the columns that a path numbers one by one; none for any other path."""
    indexes = path.steps[0].indexes if len(path.steps) == 1 else ()
    numbers = [index for index in indexes if not isinstance(index, slice)]
    return numbers if len(numbers) == len(indexes) else []


def _picked(path: JsonPath, lines: list[bytes]) -> list[bytes]:
    """Cut each line no further than the columns need, from both its ends. IndexError for a row with too few."""
    indexes = path.steps[0].indexes if len(path.steps) == 1 else ()
    if not indexes:
        raise NotPlainError
    numbers = [index for index in indexes if not isinstance(index, slice)]
    ahead = max((number for number in numbers if number >= 0), default=-1) + 1
    behind = -min((number for number in numbers if number < 0), default=0)
    heads = [line.split(COMMA, ahead) for line in lines] if ahead > 1 else []
    tails = [line.rsplit(COMMA, behind) for line in lines] if behind else []
    columns = []
    for index in indexes:
        if isinstance(index, slice):
            columns.append(_range(index, lines))
        elif index == 0:
            columns.append(_first(lines))
        else:
            columns.append(list(map(itemgetter(index), heads if index > 0 else tails)))
    return _across(columns)


def _range(columns: slice, lines: list[bytes]) -> list[bytes]:
    first, last = columns.start or 0, columns.stop
    if first > 0 and last is None:
        return [line.split(COMMA, first)[first] for line in lines]
    if first == 0 and last is not None and last < 0:
        return [_all_but(line.rsplit(COMMA, -last), -last) for line in lines]
    if first >= 0 and last is not None and last > first:
        return [_some(line.split(COMMA, last)[first:last]) for line in lines]
    raise NotPlainError


def _all_but(columns: list[bytes], count: int) -> bytes:
    if len(columns) <= count:
        raise IndexError
    return columns[0]


def _some(columns: list[bytes]) -> bytes:
    if not columns:
        raise IndexError
    return COMMA.join(columns)


def _first(lines: list[bytes]) -> list[bytes]:
    return [line.partition(COMMA)[0] for line in lines]


def _across(columns: list[list[bytes]]) -> list[bytes]:
    return columns[0] if len(columns) == 1 else list(map(COMMA.join, zip(*columns, strict=True)))
