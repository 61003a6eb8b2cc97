"""Forms as browsers send them (multipart/form-data): the fields before the file, then the file as a stream.

python-multipart reads the bytes; memory is bounded: fields up to a limit, the file a chunk at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIELDS_BYTES = 20 * 1024
"""S3 API Reference, "POST Object": the form data, without the file, must be smaller."""
FILE = "file"


@dataclass(slots=True)
class Form:
    """A form whose fields are read (names in lower case) and whose file is still to come.

    Of a field that comes twice the last counts; `doubled` has its name.
    """

    fields: dict[str, str] = field(default_factory=dict)
    doubled: set[str] = field(default_factory=set)
    filename: str = ""
    has_file: bool = False
    file: AsyncIterator[bytes] | None = None


class _Reader:
    """Feeds the parser, and sorts what it finds into fields and the file's chunks."""

    def __init__(self, source: AsyncIterator[bytes], content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise _malformed()
        self._source, self.form = source, Form()
        self.chunks: list[bytes] = []
        self.ended = False
        self._name = self._header = b""
        self._value, self._taken = bytearray(), 0
        self._in_file = False
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._begin, "on_header_begin": self._begin_header, "on_header_field": self._header_name,
            "on_header_value": self._header_value, "on_header_end": self._end_header, "on_part_data": self._data,
            "on_part_end": self._end, "on_end": self._finish,
        })  # fmt: skip

    async def more(self) -> bool:
        """Read on; tell whether there was anything. MalformedPOSTRequest for what is no form."""
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            if not self.ended:
                raise _malformed() from None
            return False
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed() from None
        return True

    def _begin(self) -> None:
        self._value = bytearray()
        self._name = b""
        self._disposition = bytearray()
        self._in_file = False

    def _begin_header(self) -> None:
        self._header, self._content = b"", bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        self._count(end - start)

    def _end_header(self) -> None:
        if self._header.lower() != b"content-disposition":
            return
        _, options = parse_options_header(bytes(self._content))
        self._name = options.get(b"name", b"")
        if self._name.lower() == FILE.encode() and not self.form.has_file:
            self.form.has_file = self._in_file = True
            self.form.filename = options.get(b"filename", b"").decode(errors="replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.chunks.append(data[start:end])
        elif not self.form.has_file:  # what follows the file is ignored
            self._value += data[start:end]
            self._count(end - start)

    def _count(self, size: int) -> None:
        self._taken += size
        if self._taken > FIELDS_BYTES and not self.form.has_file:
            text = "Your POST request fields preceding the upload file were too large."
            raise AwsError("MaxPostPreDataLengthExceeded", text, 400)

    def _end(self) -> None:
        if self._in_file:
            self.ended = True
        elif not self.form.has_file and self._name:
            name = self._name.decode(errors="replace").lower()
            if name in self.form.fields:
                self.form.doubled.add(name)
            self.form.fields[name] = self._value.decode("utf-8", errors="replace")

    def _finish(self) -> None:
        self.ended = True

    async def file(self) -> AsyncIterator[bytes]:
        """Yield the file's chunks."""
        while True:
            chunks, self.chunks = self.chunks, []
            for chunk in chunks:
                yield chunk
            if not await self.more():
                return


async def read(source: AsyncIterator[bytes], content_type: str) -> Form:
    """Read a form up to the first bytes of its file."""
    reader = _Reader(source, content_type)
    while not reader.form.has_file and await reader.more():
        pass
    if reader.form.has_file:
        reader.form.file = reader.file()
    return reader.form


def _malformed() -> AwsError:
    text = "The body of your POST request is not well-formed multipart/form-data."
    return AwsError("MalformedPOSTRequest", text, 400)
