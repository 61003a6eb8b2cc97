"""Splitting, packing and assembling, and the filters: pure, against what is computed directly."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import struct
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.transform import client as clients
from backends.transform import objects, processing, records
from backends.transform.document import transform_of
from backends.transform.jsonpath import JsonPathError, compile_path

LINES = st.lists(st.binary(max_size=30).filter(lambda line: not set(line) & {10, 13}), max_size=20)
LIMIT = 64


def record_io(bodies: list[bytes]) -> bytes:
    return b"".join(struct.pack("<II", records.RECORD_IO_MAGIC, len(b)) + b + b"\0" * (-len(b) % 4) for b in bodies)


def tf_records(bodies: list[bytes]) -> bytes:
    return b"".join(struct.pack("<Q", len(b)) + b"crc1" + b + b"crc2" for b in bodies)


def batches(data: bytes, split_type: str, *, is_single: bool, limit: int = LIMIT) -> list[bytes]:
    if split_type == "Line":
        blocks = ((block, block) for block in records.line_blocks(io.BytesIO(data)))
        return [body for _, body in records.packed(blocks, is_single=is_single, limit=limit)]
    split = records.split(io.BytesIO(data), split_type, limit)
    packed = records.payloads(split, is_single=is_single, limit=limit)
    return [records.body_of(batch, is_single=is_single) for batch in packed]


@given(LINES, st.booleans(), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_lines_come_back_whole_in_order_and_within_the_limit(
    lines: list[bytes], single: bool, end: bytes, ends: bool
) -> None:
    data = end.join(lines) + (end if ends and lines else b"")
    bodies = batches(data, "Line", is_single=single)
    assert [line for body in bodies for line in body.replace(b"\r\n", b"\n").split(b"\n") if line] == [
        line for line in lines if line
    ]
    assert all(len(body) <= LIMIT for body in bodies)
    if single:
        assert all(b"\n" not in body for body in bodies)


@given(st.lists(st.binary(max_size=30), max_size=10), st.sampled_from(["RecordIO", "TFRecord"]))
def test_binary_records_are_sent_framed_together_and_bare_alone(bodies: list[bytes], split_type: str) -> None:
    data = (record_io if split_type == "RecordIO" else tf_records)(bodies)
    assert batches(data, split_type, is_single=True) == bodies
    assert b"".join(batches(data, split_type, is_single=False)) == data


@given(
    st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: b"\n" not in b and b"\r" not in b), max_size=20),
    st.booleans(),
)
def test_the_output_is_the_direct_answer_whatever_the_strategy(lines: list[bytes], single: bool) -> None:
    """A model that answers each line with itself reversed, a line each."""

    def model(body: bytes) -> bytes:
        return b"\n".join(line[::-1] for line in body.split(b"\n") if line)

    answers = [model(body) for body in batches(b"\n".join(lines), "Line", is_single=single)]
    assert b"".join(records.assembled(answer, "Line") for answer in answers) == b"".join(
        line[::-1] + b"\n" for line in lines
    )


@given(LINES, st.integers(31, 90), st.booleans())
def test_pieces_of_lines_are_the_whole_in_order(lines: list[bytes], limit: int, ends: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
    pieces = list(records.cut_lines(io.BytesIO(data), limit))
    assert list(records.cut_lines(io.BufferedReader(io.BytesIO(data)), limit)) == pieces
    assert b"".join(pieces) == (data if data.endswith(b"\n") or not data else data + b"\n")
    assert all(len(piece) <= limit + 1 and piece.endswith(b"\n") for piece in pieces)


def test_a_last_line_without_an_end_goes_with_those_before_it() -> None:
    assert list(records.cut_lines(io.BytesIO(b"a\nb"), LIMIT)) == [b"a\nb\n"]


def test_a_line_as_long_as_the_limit_is_whole_and_a_longer_one_refused() -> None:
    for data in (b"x" * 64, b"x" * 64 + b"\n", b"x" * 64 + b"\ny\n"):
        assert b"".join(records.cut_lines(io.BytesIO(data), 64)).startswith(b"x" * 64 + b"\n")
    with pytest.raises(records.BadRecordError, match="payload limit"):
        list(records.cut_lines(io.BytesIO(b"x" * 65), 64))


@pytest.mark.parametrize("split_type", ["None", "Line", "RecordIO", "TFRecord"])
def test_a_record_above_the_limit_is_refused(split_type: str) -> None:
    body = b"x" * (LIMIT + 1)
    data = {"RecordIO": record_io([body]), "TFRecord": tf_records([body])}.get(split_type, body)
    with pytest.raises(records.BadRecordError, match="payload limit"):
        batches(data, split_type, is_single=True)


@pytest.mark.parametrize(
    ("data", "split_type"),
    [
        (b"abcdefgh", "RecordIO"),
        (record_io([b"abc"])[:-2], "RecordIO"),
        (tf_records([b"abc"])[:-2], "TFRecord"),
        (b"\1", "TFRecord"),
    ],
)
def test_broken_frames_are_refused(data: bytes, split_type: str) -> None:
    with pytest.raises(records.BadRecordError):
        batches(data, split_type, is_single=True)


ROW = [0, 1, 2, 3, 4, 5, 6]
OBJECT = {"id": 1, "a b": 2, "inner": {"x": [1, 2, 3]}, "SageMakerOutput": 9}


@pytest.mark.parametrize(
    ("path", "value", "result"),
    [
        ("$", ROW, ROW),
        ("$[1:]", ROW, ROW[1:]),
        ("$[0,5:]", ROW, [0, 5, 6]),
        ("$[0,-1]", ROW, [0, 6]),
        ("$[:-2]", ROW, ROW[:-2]),
        ("$[3]", ROW, 3),
        ("$[*]", ROW, ROW),
        ("$.id", OBJECT, 1),
        ("$['a b']", OBJECT, 2),
        ('$["id","SageMakerOutput"]', OBJECT, {"id": 1, "SageMakerOutput": 9}),
        ("$['id','SageMakerOutput']", OBJECT, {"id": 1, "SageMakerOutput": 9}),
        ("$.inner.x[1:]", OBJECT, [2, 3]),
        ("$['inner']['x'][0]", OBJECT, 1),
        ("$.*", OBJECT, OBJECT),
    ],
)
def test_a_path_gives_rows_and_objects_back(path: str, value: Any, result: Any) -> None:
    assert compile_path(path).of(value) == result


@pytest.mark.parametrize(
    "path", ["", "a", "$..a", "$[?(@.a)]", "$[a]", "$[1", "$[1:2:3]", "$[0,1].a", "$.", "$[]", "$[1 2]"]
)
def test_a_path_outside_of_the_subset_is_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        compile_path(path)


@pytest.mark.parametrize(
    ("path", "value"),
    [("$[7]", ROW), ("$.none", OBJECT), ("$.id.x", OBJECT), ("$['id','none']", OBJECT), ("$[0]", OBJECT)],
)
def test_what_a_path_does_not_find_is_said(path: str, value: Any) -> None:
    with pytest.raises(JsonPathError, match="finds nothing"):
        compile_path(path).of(value)


def made(content_type: str, **filters: str) -> processing.Processing:
    return processing.processing_of({"TransformInput": {"ContentType": content_type}, "DataProcessing": filters})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), min_size=2, max_size=6))
def test_columns_of_csv_are_dropped_joined_and_chosen(row: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(row)
    steps = made("text/csv; charset=utf-8", InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    [sent] = [line.decode() for line in steps.sent([text.getvalue().encode()])]
    assert next(csv.reader(io.StringIO(sent, newline="")), [""]) == row[1:] or row[1:] == [""]
    [written] = [line.decode() for line in steps.written([text.getvalue().encode()], [b"0.5"])]
    assert next(csv.reader(io.StringIO(written, newline=""))) == [row[0], "0.5"]


def test_json_lines_are_joined_under_sagemakers_names() -> None:
    steps = made(
        "application/jsonlines", InputFilter="$.features", JoinSource="Input", OutputFilter="$['id','SageMakerOutput']"
    )
    record = {"id": 7, "features": [1, 2]}
    assert json.loads(steps.sent([json.dumps(record).encode()])[0]) == [1, 2]
    assert json.loads(steps.written([json.dumps(record).encode()], [b'{"score":1}'])[0]) == {
        "id": 7,
        "SageMakerOutput": {"score": 1},
    }
    assert json.loads(made("application/json", JoinSource="Input").written([b"3"], [b"4"])[0]) == {
        "SageMakerInput": 3,
        "SageMakerOutput": 4,
    }


def test_a_record_that_is_none_is_said() -> None:
    with pytest.raises(records.BadRecordError, match="application/jsonlines"):
        made("application/jsonlines", InputFilter="$.a").sent([b"{"])


class Echo:
    """A model that answers each request with its length."""

    def invoke(self, body: bytes, _headers: Any) -> bytes:
        """Answer."""
        return str(len(body)).encode()


class Lines(io.RawIOBase):
    """100 MB of lines that nobody holds."""

    def __init__(self) -> None:
        self.left = 100_000
        self.line = b"x" * 999 + b"\n"

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        count = min(len(buffer) // len(self.line), self.left)
        self.left -= count
        buffer[: count * len(self.line)] = self.line * count
        return count * len(self.line)


def test_an_object_of_100_mb_is_never_held_whole() -> None:
    document = {
        "TransformInput": {"SplitType": "Line", "CompressionType": "None", "ContentType": "text/csv"},
        "TransformOutput": {"AssembleWith": "Line"},
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "MaxConcurrentTransforms": 4,
    }
    target = io.BytesIO()
    tracemalloc.start()
    with ThreadPoolExecutor(4) as pool:
        source: Any = io.BufferedReader(Lines(), 1 << 16)
        objects.transform(source, target, transform_of(document, {}), Echo(), pool, lambda: None)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(map(int, target.getvalue().split())) == 100_000_000
    assert peak < 64 << 20, f"{peak >> 20} MiB"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"[" * 100_000, None),  # deeper than a reader goes
        (b"1" * 5000, None),
        (b'"\\ud800"', b'{"SageMakerInput":"\\ud800","SageMakerOutput":"\\ud800"}'),  # half a character
    ],
)
def test_json_that_is_hostile_fails_its_object_or_goes_through(data: bytes, answer: bytes | None) -> None:
    joining = made(processing.JSON_LINES, JoinSource="Input")
    if answer is None:
        with pytest.raises(records.BadRecordError):
            joining.written([data], [data])
    else:
        assert joining.written([data], [data]) == [answer]


def test_a_value_of_csv_may_hold_any_character() -> None:
    row = ["a", "\0", 'x"y']
    text = b'a,\0,"x""y"'
    assert made(processing.CSV, InputFilter="$[0:3]").sent([text, text]) == [text, text]
    assert next(csv.reader([text.decode()])) == row


def test_gzip_whose_stream_is_broken_is_said() -> None:
    how = transform_of(
        {
            "TransformInput": {"SplitType": "Line", "CompressionType": "Gzip"},
            "TransformOutput": {"AssembleWith": "Line"},
        },
        {},
    )
    broken = gzip.compress(b"abc\n" * 1000)[:10] + b"\xff" * 20
    with pytest.raises(records.BadRecordError, match="no gzip"), ThreadPoolExecutor(1) as pool:
        objects.transform(io.BytesIO(broken), io.BytesIO(), how, Echo(), pool, lambda: None)  # type: ignore[arg-type]


def test_a_line_without_an_end_is_not_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST_LINE", 4 * records.CHUNK)
    endless = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b"\0" * (64 << 20))))
    tracemalloc.start()
    with pytest.raises(records.BadRecordError, match="larger"):
        list(records.line_blocks(endless))  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_an_answer_without_an_end_is_not_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "LONGEST_ANSWER", 1 << 20)

    class Endless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 30))
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(64):
                    self.wfile.write(b"x" * (1 << 20))

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        client = clients.Client([("127.0.0.1", server.server_port)], lambda: False, 10, 3)
        with pytest.raises(clients.TransformError, match="longer than 1048576 bytes"):
            client.invoke(b"a", {})
        client.abort()
