"""Times on the wire: epoch seconds, ISO 8601 and HTTP dates; inside they are float epoch seconds (UTC)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(value: str | float) -> float:
    """Read a time in any of the three forms. Raises `ValueError` for anything else, and for years outside 1..9999."""
    seconds = _read_text(value) if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or not -62135596800 <= seconds < 253402300800:
        raise ValueError(value)
    return seconds


def _read_text(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except (TypeError, IndexError, OverflowError) as error:
            raise ValueError(text) from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return (when - EPOCH).total_seconds()


def write(seconds: float, timestamp_format: str) -> str | float:
    """Write epoch seconds in a model's `timestampFormat`: `unixTimestamp` (a number), `iso8601` or `rfc822`."""
    if timestamp_format.lower() == "unixtimestamp":
        return seconds
    if timestamp_format.lower() == "rfc822":
        return _http_date(math.floor(seconds))
    return iso8601(seconds)


@lru_cache(1024)
def _http_date(whole: int) -> str:
    """Write an HTTP date; remembered, since the objects that are asked for often are few (10 µs of a GetObject)."""
    return formatdate(whole, usegmt=True)


def iso8601(seconds: float) -> str:
    """Write `2024-01-02T03:04:05Z`, with milliseconds where there are any."""
    when = EPOCH + timedelta(milliseconds=round(seconds * 1000))
    return when.strftime("%Y-%m-%dT%H:%M:%S").zfill(19) + (
        f".{when.microsecond // 1000:03d}Z" if when.microsecond else "Z"
    )


def iso8601_millis(seconds: float) -> str:
    """Write `2024-01-02T03:04:05.000Z`: S3 gives milliseconds always."""
    text = iso8601(seconds)
    return text if "." in text else f"{text[:-1]}.000Z"
