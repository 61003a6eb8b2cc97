"""What is true of every policy, whatever it says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.core.policy import Decision, Kind, PolicyError, Question, decide, evaluate, parse

USER, ACCOUNT = "arn:aws:iam::111122223333:user/u", "111122223333"
ACTIONS = st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*", "*", "iam:PassRole", "s3:?etObject", "iam:*"])
RESOURCES = st.sampled_from(
    ["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/k", "arn:aws:s3:::${aws:username}/*", "arn:aws:iam::111122223333:role/*"]
)
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"StringEquals": st.dictionaries(st.sampled_from(["aws:a", "aws:b"]), st.sampled_from("xy"))}
    ),
    st.fixed_dictionaries({"StringNotLike": st.just({"aws:a": "x*"})}),
    st.fixed_dictionaries({"Null": st.just({"aws:a": "true"})}),
)
STATEMENTS = st.builds(
    lambda effect, actions, resources, condition: {
        "Effect": effect, "Action": actions, "Resource": resources, "Condition": condition
    },
    st.sampled_from(["Allow", "Deny"]),
    st.lists(ACTIONS, min_size=1, max_size=3),
    st.lists(RESOURCES, min_size=1, max_size=3),
    CONDITIONS,
)  # fmt: skip
QUESTIONS = st.builds(
    lambda action, resource, context: Question(action, resource, USER, ACCOUNT, context),
    st.sampled_from(["s3:GetObject", "s3:PutObject", "iam:PassRole"]),
    st.sampled_from(["arn:aws:s3:::b/k", "arn:aws:s3:::u/k", "*", "arn:aws:iam::111122223333:role/r"]),
    st.dictionaries(st.sampled_from(["aws:a", "aws:b", "aws:username"]), st.sampled_from(["x", "y", "u"])),
)
MANY = st.lists(STATEMENTS, max_size=5)


def policy(statements: list[dict[str, Any]]) -> Any:
    return parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "*", "s3:*", "a:b:c", "arn:aws:s3:::b", "Allow", "Deny"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["AWS", "Bool", "aws:k", ""]), inner, max_size=2)
    ),
    max_leaves=6,
)
ELEMENTS = [
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Other",
]  # fmt: skip
LOOSE = st.fixed_dictionaries(
    {"Statement": JSON | st.lists(st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=5), max_size=2)},
    optional={"Version": st.just("2012-10-17") | JSON, "Id": JSON},
)


@given(LOOSE | JSON, st.sampled_from(Kind), QUESTIONS)
def test_a_document_is_read_or_refused_and_one_that_is_read_can_be_asked(
    given_document: Any, kind: Kind, question: Question
) -> None:
    try:
        read = parse(json.dumps(given_document), kind)
    except PolicyError:
        return
    assert decide([read], question) in Decision
    assert read.context_keys() == sorted(set(read.context_keys()))


@given(MANY, QUESTIONS, st.randoms(use_true_random=False))
def test_the_order_of_statements_and_their_grouping_do_not_matter(
    statements: list[dict[str, Any]], question: Question, random: Any
) -> None:
    together = decide([policy(statements)], question)
    shuffled = list(statements)
    random.shuffle(shuffled)
    assert decide([policy(shuffled)], question) is together
    assert decide([policy([each]) for each in shuffled], question) is together


@given(MANY, STATEMENTS, QUESTIONS)
def test_one_more_allow_never_takes_and_one_more_deny_never_gives(
    statements: list[dict[str, Any]], more: dict[str, Any], question: Question
) -> None:
    before = decide([policy(statements)], question)
    after = decide([policy([*statements, more])], question)
    order = [Decision.DENY, Decision.IMPLICIT, Decision.ALLOW]
    if more["Effect"] == "Allow":
        assert order.index(after) >= order.index(before)
    else:
        assert order.index(after) <= order.index(before)


@given(MANY, QUESTIONS)
def test_a_deny_of_all_wins(statements: list[dict[str, Any]], question: Question) -> None:
    denied = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert decide([policy([*statements, denied])], question) is Decision.DENY


@given(MANY, MANY, QUESTIONS)
def test_a_boundary_allows_nothing_that_the_identity_does_not(
    identity: list[dict[str, Any]], boundary: list[dict[str, Any]], question: Question
) -> None:
    limited = evaluate(question, identity=[policy(identity)], boundary=[policy(boundary)])
    assert limited.allowed == (
        decide([policy(identity)], question) is Decision.ALLOW
        and decide([policy(boundary)], question) is Decision.ALLOW
    )
