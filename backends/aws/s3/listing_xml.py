"""The XML of object listings, written by hand: a page has a thousand entries, and the general writer takes half its time.

`tests/aws/s3/test_listings.py` holds it to the general writer, byte for byte.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

UNSAFE = re.compile('[&<>"\r]')
QUOTES = {'"': "&quot;", "\r": "&#13;"}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def document(answer: dict[str, Any]) -> bytes:
    """Write the answer of ListObjects or ListObjectsV2."""
    out = [HEAD]
    for name, value in answer.items():
        if name == "Contents":
            out += map(_content, value)
        elif name == "CommonPrefixes":
            out += [f"<CommonPrefixes><Prefix>{_text(entry['Prefix'])}</Prefix></CommonPrefixes>" for entry in value]
        else:
            out.append(f"<{name}>{_text(value)}</{name}>")
    out.append("</ListBucketResult>")
    return "".join(out).encode()


def _content(entry: dict[str, Any]) -> str:
    out = (
        f"<Contents><Key>{_text(entry['Key'])}</Key><LastModified>{_time(entry['LastModified'])}</LastModified>"
        f"<ETag>&quot;{entry['ETag'][1:-1]}&quot;</ETag><Size>{entry['Size']}</Size>"
        f"<StorageClass>{entry['StorageClass']}</StorageClass>"
    )
    if "ChecksumType" in entry:
        out += _checksum(*entry["ChecksumAlgorithm"], entry["ChecksumType"])
    if "Owner" in entry:
        out += f"<Owner><ID>{entry['Owner']['ID']}</ID></Owner>"
    return f"{out}</Contents>"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if UNSAFE.search(text) is None else escape(text, QUOTES)


def _time(seconds: float) -> str:
    whole, millis = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{millis:03d}Z"


@lru_cache(64)
def _checksum(*names: str) -> str:
    """Write the algorithms and, the last, the type."""
    *algorithms, kind = names
    written = "".join(f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in algorithms)
    return f"{written}<ChecksumType>{kind}</ChecksumType>"


@lru_cache(1024)
def _second(whole: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
