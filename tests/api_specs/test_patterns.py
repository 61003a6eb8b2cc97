"""Java's regular expressions: every one of the model compiles, means what Java means, and cannot run away."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_specs import model, patterns
from api_specs.validate import PATTERN_SLACK

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = (*model.SAGEMAKER_SERVICES, "s3", "sts", "iam", "logs")


def _all() -> dict[str, float]:
    """Return every pattern with the longest value that is matched against it (infinity: no maximum)."""
    lengths: dict[str, float] = {}
    for service in map(model.load_service, SERVICES):
        for name in service.shape_names:
            metadata = service.shape_for(name).metadata
            if "pattern" in metadata:
                longest = 2 * metadata["max"] + PATTERN_SLACK if "max" in metadata else float("inf")
                lengths[metadata["pattern"]] = max(longest, lengths.get(metadata["pattern"], 0))
    return lengths


def test_every_pattern_compiles_both_ways() -> None:
    lengths = _all()
    assert len(lengths) > 200
    for java in lengths:
        patterns.matcher(java)("a")
        patterns.matcher(java)("\u00e4")


@pytest.mark.parametrize(
    ("java", "value", "matches"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "a \u00fc\u4e2d\u0661\U00020000", True),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "a!", False),
        (r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*", "e\u0301 \u20ac!\u3002", True),
        (r"[\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*", "a\n", False),
        (r"\p{ASCII}*", "\x00~", True),
        (r"\p{ASCII}*", "\u0080", False),
        (r"\P{L}", "1", True),
        (r"\P{L}", "a", False),
        (r"\A\S[\p{Print}]*\z", "a b", True),
        (r"\A\S[\p{Print}]*\z", " b", False),
        ("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*", "\U0001f600\t", True),
        ("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*", "\n", False),
        (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}", "abc", True),
        (r"[\w-_]*", "a-_", True),
        (r"\d+", "\u0661", False),
        (r"\w+", "\u00e4", False),
        (r".*", "a\u2028b", False),
        (r".*", "a\rb", False),
        (r"[a-z]++b", "aab", False),
        (r"a$", "a\n", False),
        (r"[^\p{Cntrl}]+", "a", True),
        (r"\p{M}*", "", True),
    ],
)  # fmt: skip
def test_it_means_what_java_means(java: str, value: str, matches: bool) -> None:
    assert patterns.matcher(java)(value) is matches


def test_what_is_not_known_is_refused() -> None:
    for java in (r"[a&&[b]]", r"\p{Greek}", r"\G", r"[\P{L}]"):
        with pytest.raises(patterns.UntranslatableError):
            patterns.translate(java, ascii_only=True)


@settings(max_examples=400, deadline=None, database=None)
@given(
    st.sampled_from(sorted(patterns.EQUIVALENTS)),
    st.sampled_from(["", "https://"]),
    st.text("a-./ \n\r\u2028", max_size=8),
)
def test_a_replaced_pattern_means_the_same(java: str, prefix: str, text: str) -> None:
    original = java.replace(".*", "[^\n\r\x85\u2028\u2029]*").replace(".+", "[^\n\r\x85\u2028\u2029]+")
    expected = re.fullmatch(original, prefix + text) is not None
    assert patterns.matcher(java)(prefix + text) is expected


@pytest.fixture
def alarm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        message = "the pattern ran away"
        raise TimeoutError(message)

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


PIECES = ("a", "-", "a-", " ", "/", ".", "a.", "1", "_", ":", "a/", "-a", "s3://", "\n", "\t ")
HOSTILE = [(piece, end) for piece in PIECES for end in ("\x7f", "\u2028", "!")]
PREFIXES = ("", "arn:aws:sagemaker:us-east-1:123456789012:", "https://", "s3://")


@pytest.mark.usefixtures("alarm")
def test_no_pattern_runs_away() -> None:
    """6,000 hostile characters take no pattern longer than a second (this machine's quickest: microseconds)."""
    slow = []
    for java, longest in sorted(_all().items()):
        matches = patterns.matcher(java)
        try:
            signal.setitimer(signal.ITIMER_REAL, 1.0)
            for prefix in PREFIXES:
                for piece, end in HOSTILE:
                    length = int(min(longest, 6000)) - len(prefix) - 1
                    matches(prefix + (piece * 6000)[: max(length, 0)] + end)
        except TimeoutError:
            slow.append(java)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert slow == []
