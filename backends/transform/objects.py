"""One object transformed: read, split, filtered, asked about so many at a time, and written in the order of its records."""

from __future__ import annotations

import gzip
from collections import deque
from concurrent.futures import wait
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from backends.transform import records
from backends.transform.records import BadRecordError, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future

    from backends.transform.client import Client
    from backends.transform.document import Transform

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
        waiting: deque[tuple[list[Record], Future[bytes]]] = deque()
        for batch in records.payloads(_sent(file, how), is_single=how.is_single, limit=how.limit):
            check()
            body = records.body_of(batch, is_single=how.is_single)
            # A batch is needed again only where its answers are joined to it.
            waiting.append(
                (batch if how.processing.is_output_changed else [], pool.submit(client.invoke, body, how.headers))
            )
            if len(waiting) >= how.concurrency:
                _write(target, how, *_answered(waiting, check))
        while waiting:
            _write(target, how, *_answered(waiting, check))


def _answered(
    waiting: deque[tuple[list[Record], Future[bytes]]], check: Callable[[], None]
) -> tuple[list[Record], bytes]:
    """Wait for the oldest answer; what `check` raises ends that."""
    batch, answer = waiting.popleft()
    while not wait([answer], LOOK_S).done:
        check()
    return batch, answer.result()


@contextmanager
def _opened(source: IO[bytes], how: Transform) -> Iterator[IO[bytes]]:
    """Open a source. BadRecordError where it is no gzip though the job says so."""
    if not how.is_gzip:
        yield source
        return
    try:
        with gzip.GzipFile(fileobj=source) as file:
            yield file  # type: ignore[misc]
    except (OSError, EOFError) as error:
        raise BadRecordError(f"the object is no gzip file: {error}") from error


def _sent(file: IO[bytes], how: Transform) -> Iterator[Record]:
    """Yield what of each record is sent."""
    for record in records.split(file, how.split_type, how.limit):
        bare = how.processing.sent(record.bare)
        is_same = how.processing.input_filter.is_whole
        data = record.data if is_same else bare + b"\n" if how.split_type == "Line" else bare
        yield Record(data, bare, record.bare)


def _write(target: IO[bytes], how: Transform, batch: list[Record], answer: bytes) -> None:
    if not how.processing.is_output_changed:
        target.write(records.assembled(answer, how.assemble_with))
        return
    answers = answer.splitlines() if how.split_type == "Line" else [answer]
    if len(answers) != len(batch):  # Unverified: AWS's wording
        raise BadRecordError(
            f"the model answered {len(answers)} records where {len(batch)} were sent: they cannot be joined"
        )
    for record, one in zip(batch, answers, strict=True):
        target.write(records.assembled(how.processing.written(record.read, one), how.assemble_with))
