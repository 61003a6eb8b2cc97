"""DataProcessing: what of a record is sent, and what of it is written beside its answer. CSV and JSON lines.

Source: developer guide "Associate Prediction Results with Input Records" (2026-11). The join takes the record as it was read, and
OutputFilter what the join gives.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from backends.transform import columns
from backends.transform.jsonpath import JsonPath, JsonPathError, compile_path
from backends.transform.records import BadRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

CSV, JSON_LINES, JSON = "text/csv", "application/jsonlines", "application/json"


@dataclass(frozen=True, slots=True)
class Processing:
    """The filters of a job, compiled. `kind`: the content type by which records are read."""

    kind: str
    input_filter: JsonPath
    output_filter: JsonPath
    is_joined: bool
    inference_time: str = ""
    """Where each answer gets an id of its own (GenerateInferenceId): when the job began."""

    @property
    def changes_nothing(self) -> bool:
        """Return whether records and answers go through as they are."""
        return self.input_filter.is_whole and not self.is_output_changed

    @property
    def sends_all(self) -> bool:
        """Return whether records are sent as they are read."""
        return self.input_filter.takes_rows_whole if self.kind == CSV else self.input_filter.is_whole

    @property
    def is_output_changed(self) -> bool:
        """Return whether answers are written otherwise than the model gave them."""
        return self.is_joined or not self.output_filter.is_whole or bool(self.inference_time)

    def sent(self, records: list[bytes]) -> list[bytes]:
        """Return what of each record is sent. BadRecordError."""
        if self.sends_all:
            return records
        if self.kind == CSV:
            with suppress(columns.NotPlainError):
                columns.check_plain(records)
                return columns.chosen(self.input_filter, records)
        return self._write(self._find(self.input_filter, self._read(records)))

    def written(self, records: list[bytes], answers: list[bytes]) -> list[bytes]:
        """Return what is written of each record and its answer. BadRecordError."""
        if not self.is_output_changed:
            return answers
        if self.kind == CSV and not self.inference_time:
            with suppress(columns.NotPlainError):
                return self._plain(records, answers)
        values = self._read(answers)
        if self.is_joined:
            values = [_join(record, answer) for record, answer in zip(self._read(records), values, strict=True)]
        values = self._find(self.output_filter, values)
        return self._write(
            [_with_id(value, self.inference_time) for value in values] if self.inference_time else values
        )

    def _plain(self, records: list[bytes], answers: list[bytes]) -> list[bytes]:
        """Return what `written` does for rows that need no quotes. NotPlainError."""
        columns.check_plain(answers)
        if not self.is_joined:
            return columns.chosen(self.output_filter, answers)
        columns.check_plain(records)
        return columns.chosen_of_joined(self.output_filter, records, answers)

    def _find(self, path: JsonPath, values: list[Any]) -> list[Any]:
        try:
            return path.of_rows(values) if self.kind == CSV else [path.of(value) for value in values]
        except JsonPathError as error:
            raise BadRecordError(str(error)) from error

    def _read(self, lines: list[bytes]) -> list[Any]:
        try:
            return _rows([line.decode() for line in lines]) if self.kind == CSV else list(map(_from_json, lines))
        except (ValueError, RecursionError, csv.Error) as error:
            raise BadRecordError(f"a record is no {self.kind}: {error}") from error

    def _write(self, values: list[Any]) -> list[bytes]:
        if self.kind != CSV:
            return [_to_json(value) for value in values]
        if plain := _plain_rows(values):
            return plain
        return [_row(value) for value in values]


SPECIAL = re.compile(r'["\r\n]')
"""What makes a row of CSV more than texts between commas."""


def _plain_rows(values: list[Any]) -> list[bytes]:
    """Write rows whose texts need no quotes, many times as fast as `csv`; none where one does."""
    rows = [value if isinstance(value, list) else [value] for value in values]
    text = "\0".join([",".join(row) for row in rows])
    commas = sum(map(len, rows)) - len(rows)
    is_plain = text.count(",") == commas and text.count("\0") == len(rows) - 1 and SPECIAL.search(text) is None
    return text.encode().split(b"\0") if is_plain and [""] not in rows and [] not in rows else []


def _row(value: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return text.getvalue().encode()


def _rows(texts: list[str]) -> list[list[str]]:
    """Read a row from each line. One reader reads them all; where a lone quote makes it take two for one, each is read by itself."""
    if not any(map(SPECIAL.search, texts)):
        return [text.split(",") for text in texts]
    rows = list(csv.reader(texts))
    return rows if len(rows) == len(texts) else [next(csv.reader([text]), []) for text in texts]


def _from_json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # NaN, and integers of more than 64 bits
        return json.loads(line.decode())


def _to_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, RecursionError):
        pass
    try:  # half a character has no bytes, but an escape
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    except RecursionError as error:
        raise BadRecordError("a record is nested too deeply") from error


def _join(record: Any, answer: Any) -> Any:
    """Return a record with its answer: columns behind columns, or `SageMakerOutput` in the record's object."""
    if isinstance(record, list) and isinstance(answer, list):
        return [*record, *answer]
    if isinstance(record, dict):
        return {**record, "SageMakerOutput": answer}
    return {"SageMakerInput": record, "SageMakerOutput": answer}


def _with_id(value: Any, time: str) -> Any:
    """Return an answer with an id of its own and the time: columns of a row, members of an object."""
    made = {"SageMakerInferenceId": str(uuid.uuid4()), "SageMakerInferenceTime": time}
    if isinstance(value, dict):
        return {**value, **made}
    return [*(value if isinstance(value, list) else [value]), *made.values()]


def processing_of(document: Mapping[str, Any]) -> Processing:
    """Read a job's DataProcessing. JsonPathError for a path outside of the subset."""
    given = document.get("DataProcessing", {})
    return Processing(
        kind_of(document["TransformInput"].get("ContentType", "")),
        compile_path(given.get("InputFilter", "$")),
        compile_path(given.get("OutputFilter", "$")),
        given.get("JoinSource", "None") == "Input",
        _began(document) if document.get("DataCaptureConfig", {}).get("GenerateInferenceId") else "",
    )


def _began(document: Mapping[str, Any]) -> str:
    began = dt.datetime.fromtimestamp(document.get("TransformStartTime", 0), dt.UTC)
    return began.strftime("%Y-%m-%dT%H:%M:%SZ")


def kind_of(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()
