"""The XML of object listings, written by hand: a page has a thousand entries, and the general writer takes half its time.

`tests/aws/s3/test_listings.py` holds it to the general writer, byte for byte.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import orjson

from backends.aws.s3 import access

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.objects import Summary

UNSAFE = re.compile('[&<>"\r]')
QUOTES = {'"': "&quot;", "\r": "&#13;"}
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def document(answer: dict[str, Any], spell: Callable[[str], str], owner: str | None) -> bytes:
    """Write the answer of ListObjects or ListObjectsV2, whose `Contents` are rows of the index still.

    `spell` writes keys and prefixes as the client asked; `owner`: the account, where every entry shall say whose it is.
    """
    out = [HEAD]
    for name, value in answer.items():
        if name == "Contents":
            end = "</Contents>" if owner is None else f"<Owner><ID>{access.owner(owner)['ID']}</ID></Owner></Contents>"
            out += [_content(summary, spell, end) for summary in value]
        elif name == "CommonPrefixes":
            out += [f"<CommonPrefixes><Prefix>{_text(spell(text))}</Prefix></CommonPrefixes>" for text in value]
        else:
            out.append(f"<{name}>{_text(value)}</{name}>")
    out.append("</ListBucketResult>")
    return "".join(out).encode()


def _content(summary: Summary, spell: Callable[[str], str], end: str) -> str:
    key, size, etag, modified, document = summary
    info, moment = orjson.loads(document), f"{modified:.3f}"
    about = _about(info.get("StorageClass", "STANDARD"), info.get("ChecksumType"), *info.get("Checksums", ()))
    return (
        f"<Contents><Key>{_text(spell(key))}</Key><LastModified>{_second(moment[:-4])}{moment[-4:]}Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>{about}{end}"
    )


@lru_cache(64)
def _about(storage_class: str, checksum_type: str | None, *algorithms: str) -> str:
    """Write what most objects have in common."""
    written = f"<StorageClass>{storage_class}</StorageClass>"
    if algorithms:
        written += "".join(f"<ChecksumAlgorithm>{name}</ChecksumAlgorithm>" for name in algorithms)
        written += f"<ChecksumType>{checksum_type or 'FULL_OBJECT'}</ChecksumType>"
    return written


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if UNSAFE.search(text) is None else escape(text, QUOTES)


@lru_cache(1024)
def _second(whole: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(whole)))
