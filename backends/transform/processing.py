"""DataProcessing: what of a record is sent, and what of it is written beside its answer. CSV and JSON lines.

Source: developer guide "Associate Prediction Results with Input Records" (2026-11). The join takes the record as it was read, and
OutputFilter what the join gives.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    def is_output_changed(self) -> bool:
        """Return whether answers are written otherwise than the model gave them."""
        return self.is_joined or not self.output_filter.is_whole or bool(self.inference_time)

    def sent(self, record: bytes) -> bytes:
        """Return what of a record is sent. BadRecordError."""
        if self.input_filter.is_whole:
            return record
        return self._write(self._find(self.input_filter, self._read(record)))

    def written(self, record: bytes, answer: bytes) -> bytes:
        """Return what is written of a record and its answer. BadRecordError."""
        if not self.is_output_changed:
            return answer
        given = self._read(answer)
        joined = _join(self._read(record), given) if self.is_joined else given
        shown = self._find(self.output_filter, joined)
        return self._write(_with_id(shown, self.inference_time) if self.inference_time else shown)

    def _find(self, path: JsonPath, value: Any) -> Any:
        try:
            return path.of(value)
        except JsonPathError as error:
            raise BadRecordError(str(error)) from error

    def _read(self, data: bytes) -> Any:
        try:
            text = data.decode()
            if self.kind == CSV:
                return next(csv.reader(io.StringIO(text, newline="")), [])
            return json.loads(text)
        except (ValueError, csv.Error) as error:
            raise BadRecordError(f"a record is no {self.kind}: {error}") from error

    def _write(self, value: Any) -> bytes:
        if self.kind != CSV:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow(value if isinstance(value, list) else [value])
        return row.getvalue().encode()


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
