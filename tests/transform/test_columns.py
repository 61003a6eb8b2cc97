"""Columns of plain lines are those that the readers of CSV and of JSONPath find in them, whatever the rows and the path."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.transform import columns, objects, processing, records
from backends.transform.document import transform_of
from backends.transform.jsonpath import compile_path

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = st.integers(-4, 4)
SLICE = st.tuples(st.one_of(st.none(), NUMBER), st.one_of(st.none(), NUMBER)).map(
    lambda ends: ":".join("" if end is None else str(end) for end in ends)
)
PATHS = st.one_of(
    st.sampled_from(["$", "$[*]"]),
    SLICE.map("$[{}]".format),
    st.lists(st.one_of(NUMBER.map(str), SLICE), min_size=1, max_size=3).map(lambda parts: f"$[{','.join(parts)}]"),
)
CELL = st.text(st.sampled_from('ab1.é "\r\0'), max_size=3)
LINE = st.one_of(
    st.lists(CELL, min_size=1, max_size=6).map(lambda row: ",".join(row).encode()),
    st.binary(max_size=6),
).filter(lambda line: b"\n" not in line)
LINES = st.lists(st.tuples(LINE, LINE), min_size=1, max_size=5)


def made(**filters: str) -> processing.Processing:
    return processing.processing_of({"TransformInput": {"ContentType": "text/csv"}, "DataProcessing": filters})


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except records.BadRecordError as error:
        return str(error)


def slowly(call: Callable[[], Any]) -> Any:
    with mock.patch.object(columns, "check_plain", side_effect=columns.NotPlainError):
        return outcome(call)


@given(LINES, PATHS, PATHS, st.booleans())
@example([(b"a,b", b"0.5")], "$[0,5]", "$[0,-1]", True)
@example([(b"a,", b"")], "$[1:]", "$[1]", True)
@example([(b"a", b"0.5"), (b"a,b", b"0.5")], "$[:-1]", "$[:-2]", True)
def test_columns_of_plain_lines_are_what_the_readers_find(
    lines: list[tuple[bytes, bytes]], first: str, last: str, join: bool
) -> None:
    read, answers = ([line[place] or b"x" for line in lines] for place in (0, 1))
    steps = made(InputFilter=first, OutputFilter=last, **({"JoinSource": "Input"} if join else {}))
    if not steps.sends_all:
        assert outcome(lambda: steps.sent(read)) == slowly(lambda: steps.sent(read))
    assert outcome(lambda: steps.written(read, answers)) == slowly(lambda: steps.written(read, answers))


@pytest.mark.parametrize("path", ["$[1:]", "$[0,-1]", "$[:2]", "$[:-1]", "$[1:3]", "$[2]", "$[-2,0,1]", "$[0:]"])
def test_plain_lines_are_read_by_no_reader(path: str) -> None:
    lines = [b"1,2,3,4", b"5,\xc3\xa9,7,8"]
    columns.check_plain(lines)
    rows = [line.decode().split(",") for line in lines]
    values = [value if isinstance(value, list) else [value] for value in compile_path(path).of_rows(rows)]
    assert columns.chosen(compile_path(path), lines) == [",".join(row).encode() for row in values]


class Reversing:
    """A model that answers each line with itself reversed."""

    def invoke(self, body: bytes, _headers: Any) -> bytes:
        """Answer."""
        return b"\n".join(line[::-1] for line in body.replace(b"\r", b"").split(b"\n") if line)


PLAIN = st.binary(min_size=1, max_size=30).filter(lambda line: not set(line) & set(b'\r\n"') and line.isascii())


@given(
    st.lists(st.one_of(PLAIN, st.just(b'"a,b",c')), max_size=20),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["$", "$[0:]", "$[:1]"]),
)
def test_a_joined_output_is_the_direct_answer_whatever_the_strategy(
    lines: list[bytes], end: bytes, ends: bool, single: bool, path: str
) -> None:
    document = {
        "TransformInput": {"SplitType": "Line", "CompressionType": "None", "ContentType": "text/csv"},
        "TransformOutput": {"AssembleWith": "Line"},
        "BatchStrategy": "SingleRecord" if single else "MultiRecord",
        "DataProcessing": {"InputFilter": path, "JoinSource": "Input"},
    }
    how = replace(transform_of(document, {}), limit=64, concurrency=2)
    source, target = io.BytesIO(end.join(lines) + (end if ends else b"")), io.BytesIO()
    with ThreadPoolExecutor(2) as pool:
        objects.transform(source, target, how, Reversing(), pool, lambda: None)  # type: ignore[arg-type]
    sent = made(InputFilter=path).sent(lines)
    expected = made(JoinSource="Input").written(lines, [line[::-1] for line in sent])
    assert target.getvalue() == b"".join(line + b"\n" for line in expected)
