"""Filter patterns: the examples of the user guide's pages, and what is no pattern."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from backends.aws.logs import pattern
from backends.core.errors import AwsError

TRAIL = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another value"], '
    '"objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "ThisFlag": true}'
)
USERS = (
    '{"user": {"id": 1, "email": "John.Stiles@example.com"}, "users": [{"id": 2, "email": "John.Doe@example.com"}, '
    '{"id": 3, "email": "Jane.Doe@example.com"}], "actions": ["GET", "PUT", "DELETE"], "coordinates": [[0, 1, 2], [4, 5, 6]]}'
)
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534'


@pytest.mark.parametrize(
    ("text", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "Exiting with ERRORCODE: -1", True),
        ("error", "[ERROR] no", False),
        ('"ERROR" -"Exiting"', "Exiting with ERRORCODE: -1", False),
        ("ERROR Exception", "[ERROR] Caught IllegalArgumentException", True),
        ("ERROR WARN", "ERROR message", False),
        ("ERROR -WARN", "ERROR message", True),
        ("?ERROR ?WARN", "WARN message", True),
        ("?ERROR ?WARN", "INFO message", False),
        ('"Failed to process the request"', "[WARN] Failed to process the request", True),
        ('"say \\"x\\""', 'they say "x"', True),
        ('{ $.eventType = "UpdateTrail" }', TRAIL, True),
        ("{ $.eventType = Update* }", TRAIL, True),
        ("{ $.eventType = *Trail }", TRAIL, True),
        ("{ $.eventType = Up*Trail }", TRAIL, False),
        ("{ $.sourceIPAddress != 123.123.* }", TRAIL, True),
        ('{ $.arrayKey[0] = "value" }', TRAIL, True),
        ("{ $.arrayKey[5] = value }", TRAIL, False),
        ("{ $.objectList[1].id = 2 }", TRAIL, True),
        ("{ $.objectList[*].id = 2 }", TRAIL, True),
        ("{ $.SomeObject IS NULL }", TRAIL, True),
        ("{ $.SomeOtherObject IS NULL }", TRAIL, False),
        ("{ $.SomeOtherObject NOT EXISTS }", TRAIL, True),
        ("{ $.SomeObject EXISTS }", TRAIL, True),
        ("{ $.ThisFlag IS TRUE }", TRAIL, True),
        ("{ $.ThisFlag IS FALSE }", TRAIL, False),
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', USERS, True),
        ('{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', USERS, False),
        (
            '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = no }',
            USERS,
            True,
        ),
        (
            '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = no) && $.actions[2] = no }',
            USERS,
            False,
        ),
        ("{ $.users = 1 }", USERS, False),
        ("{ $.users != 1 }", USERS, False),
        ("{ $.user.id >= 1 && $.user.id < 10e3 }", USERS, True),
        ("{ $.user.id > +1 }", USERS, False),
        ("{ $.user.id = * }", USERS, True),
        ("{ $.user.id = 1 }", "not JSON", False),
        ("[ip, user, username, timestamp, request, status_code, bytes > 1000]", ACCESS, True),
        ("[ip, user, username, timestamp, request, status_code, bytes]", ACCESS + " more", False),
        ("[..., status_code, bytes]", ACCESS, True),
        ("[ip, user, ...]", ACCESS, True),
        ("[ip, ..., status_code = 4*, bytes]", ACCESS, False),
        ("[ip, user, username, timestamp, request, status_code = 2* && status_code != 403, bytes]", ACCESS, True),
        ("[w1=ERROR || w1=WARN, w2]", "WARN message", True),
        ("[w1=ERROR, w2]", "WARN message", False),
    ],
)
def test_a_pattern_matches_as_the_guide_says(text: str, message: str, matches: bool) -> None:
    assert (pattern.compile_pattern(text).match(message) is not None) == matches


def test_fields_and_selectors_are_extracted(aws: Any) -> None:
    logs = aws("logs")
    [match] = logs.test_metric_filter(
        filterPattern="[..., request=*.gif*, status_code=2*,]", logEventMessages=["x", ACCESS]
    )["matches"]
    assert match == {
        "eventNumber": 2,
        "eventMessage": ACCESS,
        "extractedValues": {
            "$1": "127.0.0.1", "$2": "-", "$3": "frank", "$4": "10/Oct/2000:13:25:15 -0700",
            "$request": "GET /apache_pb.gif HTTP/1.0", "$status_code": "200", "$7": "1534",
        },
    }  # fmt: skip
    [match] = logs.test_metric_filter(filterPattern="{ $.user.id = 1 }", logEventMessages=[USERS])["matches"]
    assert match["extractedValues"] == {"$.user.id": "1"}
    with pytest.raises(ClientError) as caught:
        logs.test_metric_filter(filterPattern="%a+%", logEventMessages=["a"])
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


@pytest.mark.parametrize(
    "text",
    [
        "a.b", '"open', "{ $.a = ", "{ a = 1 }", "[a b]", "[..., a, ...]", '{ $.a > "x" }', "{}", "[a = ]", "- a",
        "{" + "(" * 500 + "$.a = 1" + ")" * 500 + "}", "{" + " && ".join(["$.a = 1"] * 500) + "}",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(AwsError, match="Invalid filter pattern") as caught:
        pattern.compile_pattern(text)
    assert caught.value.code == "InvalidParameterException"


@given(st.text(st.sampled_from('{}[]()$.,=<>!&|*?-"\\ ab1%'), max_size=30), st.text(max_size=20))
def test_any_text_is_a_pattern_or_is_refused(text: str, message: str) -> None:
    refused = None
    try:
        compiled = pattern.compile_pattern(text)
    except AwsError as error:
        refused = error
    if refused is None:
        is_match = compiled.match(message)
        assert is_match is None or isinstance(is_match, dict)
    else:
        assert refused.code in {"InvalidParameterException", "NotImplemented"}
