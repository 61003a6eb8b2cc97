"""One object transformed: read, split, filtered, asked about so many at a time, and written in the order of its records."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from concurrent.futures import wait
from contextlib import contextmanager
from operator import itemgetter
from typing import IO, TYPE_CHECKING

from backends.transform import records
from backends.transform.records import BadRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

    from backends.transform.client import Client
    from backends.transform.document import Transform

    Waiting = deque[tuple[list[bytes], Future[bytes]]]

LOOK_S = 0.25
"""How often whoever waits for an answer looks whether it is still wanted."""


def transform(
    source: IO[bytes], target: IO[bytes], how: Transform, client: Client, pool: Executor, check: Callable[[], None]
) -> None:
    """Write the answers about a source to a target. BadRecordError, `client.TransformError`; what `check` raises ends it too."""
    with _opened(source, how) as file:
        if how.limit == 0:
            streamed = pool.submit(client.invoke, file, {**how.headers, "Transfer-Encoding": "chunked"})
            _, answer = _answered(deque([([], streamed)]), check)
            target.write(records.assembled(answer, how.assemble_with))
            return
        waiting: Waiting = deque()
        for read, body in _requests(file, how):
            check()
            waiting.append((read, pool.submit(client.invoke, body, how.headers)))
            if len(waiting) >= how.concurrency:
                _write(target, how, *_answered(waiting, check))
        while waiting:
            _write(target, how, *_answered(waiting, check))


def _answered(waiting: Waiting, check: Callable[[], None]) -> tuple[list[bytes], bytes]:
    """Wait for the oldest answer; what `check` raises ends that."""
    read, answer = waiting.popleft()
    while not wait([answer], LOOK_S).done:
        check()
    return read, answer.result()


@contextmanager
def _opened(source: IO[bytes], how: Transform) -> Iterator[IO[bytes]]:
    """Open a source. BadRecordError where it is no gzip though the job says so."""
    if not how.is_gzip:
        yield source
        return
    try:
        with gzip.GzipFile(fileobj=source) as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        raise BadRecordError(f"the object is no gzip file: {error}") from error


def _requests(file: IO[bytes], how: Transform) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield the records of each request as they were read, where they are needed again, and its body."""
    if how.split_type != "Line":
        for batch in records.payloads(
            records.split(file, how.split_type, how.limit), is_single=how.is_single, limit=how.limit
        ):
            read = [record.bare for record in batch]
            body = records.body_of(batch, is_single=how.is_single)
            yield read, how.processing.sent([body])[0]
    elif how.is_single or not how.processing.sends_all:
        blocks = ((block, how.processing.sent(block)) for block in records.line_blocks(file))
        yield from records.packed(blocks, is_single=how.is_single, limit=how.limit)
    elif how.processing.is_output_changed:
        yield from filter(itemgetter(0), map(records.lines_of, records.cut_lines(file, how.limit)))
    else:
        for body in records.cut_lines(file, how.limit):
            yield [], body


def _write(target: IO[bytes], how: Transform, read: list[bytes], answer: bytes) -> None:
    if not how.processing.is_output_changed:
        target.write(records.assembled(answer, how.assemble_with))
        return
    answers = answer.splitlines() if how.split_type == "Line" else [answer]
    if len(answers) != len(read):  # Unverified: AWS's wording
        raise BadRecordError(
            f"the model answered {len(answers)} records where {len(read)} were sent: they cannot be joined"
        )
    written = how.processing.written(read, answers)
    target.write(records.assembled(b"\n".join(written), how.assemble_with))
