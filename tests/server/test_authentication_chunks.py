"""Bodies that are signed chunk by chunk: S3's own example, and what arrives in any pieces or was changed on the way."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.core.errors import AwsError
from server.authentication import canonical, chunks
from tests.server.test_authentication import EXAMPLES, KEY, SECRET


def chunked_by_hand(body: list[bytes], trailers: dict[str, str], scope: str, date: str, seed: str) -> bytes:
    """Write an aws-chunked body as S3's documentation says, each chunk signed with what was signed before it."""
    previous, wire = seed, b""

    def sign(kind: str, *hashes: str) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", date, scope, previous, *hashes))
        return canonical.signature(SECRET, scope, text)

    for chunk in [*body, b""]:
        previous = sign("PAYLOAD", hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest())
        wire += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + (chunk + b"\r\n" if chunk else b"")
    for name, value in trailers.items():
        wire += f"{name}:{value}\r\n".encode()
    if trailers:
        text = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
        wire += f"x-amz-trailer-signature:{sign('TRAILER', hashlib.sha256(text.encode()).hexdigest())}\r\n".encode()
    return wire + b"\r\n"


def watch(wire: bytes, cuts: list[int], scope: str, date: str, seed: str) -> None:
    """Let a body arrive in pieces."""
    watched = chunks.ChunkedBody(chunks.Signer(KEY, scope, date, seed))
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    for start, end in pairwise(edges):
        watched.feed(wire[start:end])
    watched.end()


# S3 API Reference, "Example: PUT Object" of "Transferring payload in multiple chunks": its own numbers.
DATE, SCOPE = "20130524T000000Z", "20130524/us-east-1/s3/aws4_request"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
EXAMPLE = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + b"a" * 65536
    + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + b"a" * 1024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)  # fmt: skip


def test_the_chunks_of_awss_example() -> None:
    watch(EXAMPLE, [], SCOPE, DATE, SEED)
    with pytest.raises(AwsError):
        watch(EXAMPLE.replace(b"aaa\r\n400", b"aab\r\n400"), [], SCOPE, DATE, SEED)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    body=st.lists(st.binary(min_size=1, max_size=50), max_size=4),
    trailers=st.sampled_from([{}, {"x-amz-checksum-crc32": "AAAAAA=="}]),
    cuts=st.lists(st.integers(0, 1000), max_size=6),
    where=st.integers(0, 10_000),
)
def test_chunks_are_verified_however_they_arrive_and_a_changed_byte_is_found(
    body: list[bytes], trailers: dict[str, str], cuts: list[int], where: int
) -> None:
    wire = chunked_by_hand(body, trailers, SCOPE, DATE, SEED)
    watch(wire, cuts, SCOPE, DATE, SEED)
    at_ = where % (len(wire) - 2)  # the last line end ends nothing that was signed
    broken = wire[:at_] + bytes([wire[at_] ^ 1]) + wire[at_ + 1 :]
    with pytest.raises(AwsError):
        watch(broken, cuts, SCOPE, DATE, SEED)
