"""The policy language against AWS's documented examples and sentences (IAM user guide, "IAM JSON policy elements")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends.core.policy import Decision, Kind, PolicyError, Question, decide, evaluate, parse

ACCOUNT, OTHER = "111122223333", "444455556666"
USER = f"arn:aws:iam::{ACCOUNT}:user/johndoe"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Train/run"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Train"


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(actions: Any = "s3:*", resources: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


def requested(action: str = "s3:GetObject", resource: str = "arn:aws:s3:::b/k", **context: Any) -> Question:
    return Question(action, resource, USER, ACCOUNT, {key.replace("__", ":"): value for key, value in context.items()})


def holds(operator: str, values: Any, context: dict[str, Any], key: str = "aws:k") -> bool:
    policy = parse(document(allow(Condition={operator: {key: values}})))
    return decide([policy], Question("s3:GetObject", "arn:aws:s3:::b/k", USER, ACCOUNT, context)) is Decision.ALLOW


@pytest.mark.parametrize(
    ("operator", "values", "given", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["x", "a"], "a", True),
        ("StringEquals", "A", "a", False),
        ("StringEquals", "*", "a", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringNotEquals", ["x", "a"], "a", False),
        ("StringNotEquals", ["x", "y"], "a", True),
        ("StringNotEqualsIgnoreCase", "A", "a", False),
        ("StringLike", "a?c*", "abcd", True),
        ("StringLike", "a?c", "ac", False),
        ("StringNotLike", "a*", "abc", False),
        ("NumericEquals", "10", "10.0", True),
        ("NumericEquals", 10, "10", True),
        ("NumericNotEquals", "10", "11", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThan", "10", "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "11", True),
        ("NumericGreaterThanEquals", "10", "9", False),
        ("NumericEquals", "10", "ten", False),
        ("DateGreaterThan", "2020-04-01T00:00:00Z", "2020-04-02T00:00:00Z", True),
        ("DateLessThan", "2020-04-01T00:00:00Z", "2020-04-02T00:00:00Z", False),
        ("DateEquals", "1585699200", "2020-04-01T00:00:00Z", True),
        ("DateGreaterThanEquals", "2020-04-01", "2020-04-01T00:00:00Z", True),
        ("DateNotEquals", "2020-04-01", "2021-04-01", True),
        ("Bool", "true", "true", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
        ("BinaryEquals", "AAAA", "AAAB", False),
        ("IpAddress", "203.0.113.0/24", "203.0.113.77", True),
        ("IpAddress", "203.0.113.0/24", "203.0.114.1", False),
        ("IpAddress", ["10.0.0.0/8", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1", True),
        ("NotIpAddress", "203.0.113.0/24", "203.0.114.1", True),
        ("ArnLike", "arn:aws:iam::*:user/*", USER, True),
        ("ArnEquals", "arn:aws:iam::*:user/*", USER, True),
        ("ArnLike", "arn:aws:*:user/johndoe", USER, False),
        ("ArnNotLike", "arn:aws:iam::*:role/*", USER, True),
        ("Null", "true", "x", False),
        ("Null", "false", "x", True),
        ("StringEqualsIfExists", "a", "b", False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c"], False),
        ("ForAllValues:StringNotEquals", ["a"], ["b", "a"], False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
        ("ForAnyValue:StringLike", ["us-*"], ["eu-1", "us-1"], True),
    ],
)
def test_operators(operator: str, values: Any, given: Any, expected: bool) -> None:
    assert holds(operator, values, {"aws:k": given}) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("ArnNotLike", True),
        ("NotIpAddress", True),
        ("NumericLessThan", False),
        ("Bool", False),
        ("StringEqualsIfExists", True),
        ("BoolIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("Null", True),
    ],
)
def test_a_key_that_the_request_does_not_carry(operator: str, expected: bool) -> None:
    assert holds(operator, "true", {}) is expected


def test_keys_ignore_case_and_all_of_them_must_hold() -> None:
    assert holds("StringEquals", "x", {"AWS:K": "x"}, key="aws:k")
    assert holds("StringEquals", "x", {"aws:principaltag/Team": "x"}, key="aws:PrincipalTag/team")
    both = allow(Condition={"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Bool": {"aws:c": "true"}})
    policy = parse(document(both))
    assert decide([policy], requested(aws__a="1", aws__b="2", aws__c="true")) is Decision.ALLOW
    assert decide([policy], requested(aws__a="1", aws__b="3", aws__c="true")) is Decision.IMPLICIT
    assert decide([policy], requested(aws__a="1", aws__b="2", aws__c="false")) is Decision.IMPLICIT


@pytest.mark.parametrize(
    ("resource", "requested_arn", "expected"),
    [
        ("*", "*", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/a/b/c", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b", "*", False),
        ("arn:aws:s3:::B/*", "arn:aws:s3:::b/a", False),
        ("arn:aws:s3:::b/?", "arn:aws:s3:::b/a", True),
        ("arn:aws:*", "arn:aws:s3:::b/a", True),
        ("arn:aws:s3:*", "arn:aws:s3:::b/a", True),
        ("arn:aws:s3", "arn:aws:s3:::b/a", False),
        (
            "arn:aws:logs:*:*:log-group:/aws/*",
            "arn:aws:logs:us-east-1:111122223333:log-group:/aws/x:log-stream:y",
            True,
        ),
        ("arn:aws:sagemaker:*:training-job/x", "arn:aws:sagemaker:us-east-1:111122223333:training-job/x", False),
        ("arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::johndoe/x", True),
        ("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/jane/x", False),
        ("arn:aws:s3:::b/${aws:PrincipalTag/team, 'all'}/*", "arn:aws:s3:::b/all/x", True),
        ("arn:aws:s3:::b/${missing:key}/*", "arn:aws:s3:::b/${missing:key}/x", False),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/x", False),
        ("arn:aws:s3:::b/${$}{x}", "arn:aws:s3:::b/${x}", True),
    ],
)
def test_resources_and_variables(resource: str, requested_arn: str, expected: bool) -> None:
    question = requested("s3:GetObject", requested_arn, aws__username="johndoe")
    assert (decide([parse(document(allow("*", resource)))], question) is Decision.ALLOW) is expected
    turned = {"Effect": "Allow", "Action": "*", "NotResource": resource}
    assert (decide([parse(document(turned))], question) is Decision.ALLOW) is not expected


def test_what_a_variable_stands_for_is_no_pattern() -> None:
    policy = parse(document(allow("*", "arn:aws:s3:::b/${aws:username}/x")))
    assert decide([policy], requested("s3:GetObject", "arn:aws:s3:::b/any/x", aws__username="*")) is Decision.IMPLICIT
    assert holds("StringEquals", "${aws:username}", {"aws:k": "*", "aws:username": "*"})
    assert not holds("StringLike", "${aws:username}", {"aws:k": "x", "aws:username": "*"})


def test_only_the_new_version_knows_variables() -> None:
    statement = allow("s3:*", "arn:aws:s3:::${aws:username}", Principal="*")
    question = requested("s3:ListBucket", "arn:aws:s3:::johndoe", aws__username="johndoe")
    assert decide([parse(document(statement), Kind.RESOURCE)], question) is Decision.ALLOW
    old = parse(document(statement, version="2008-10-17"), Kind.RESOURCE)
    assert decide([old], question) is Decision.IMPLICIT


@pytest.mark.parametrize(
    ("action", "expected"),
    [("s3:GetObject", True), ("S3:getobject", True), ("s3:Get*", True), ("s3:*et?????t", True), ("*", True),
     ("s3:GetObjec", False), ("iam:*", False)],
)  # fmt: skip
def test_actions_ignore_case(action: str, expected: bool) -> None:
    assert (decide([parse(document(allow(action)))], requested()) is Decision.ALLOW) is expected
    turned = parse(document({"Effect": "Allow", "NotAction": action, "Resource": "*"}))
    assert (decide([turned], requested()) is Decision.ALLOW) is not expected


@pytest.mark.parametrize(
    ("principal", "by_session", "by_other"),
    [
        ("*", True, True),
        ({"AWS": "*"}, True, True),
        ({"AWS": ACCOUNT}, True, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, True, False),
        ({"AWS": ROLE}, True, False),
        ({"AWS": SESSION}, True, False),
        ({"AWS": USER}, False, False),
        ({"AWS": [USER, ROLE]}, True, False),
        ({"Service": "sagemaker.amazonaws.com"}, False, False),
    ],
)
def test_principals(principal: Any, by_session: bool, by_other: bool) -> None:
    theirs = Question("s3:GetObject", "arn:aws:s3:::b/k", f"arn:aws:iam::{OTHER}:user/eve", OTHER)
    own = Question("s3:GetObject", "arn:aws:s3:::b/k", SESSION, ACCOUNT)
    policy = parse(document(allow(Principal=principal)), Kind.RESOURCE)
    turned = parse(document(allow(NotPrincipal=principal)), Kind.RESOURCE)
    for question, expected in ((own, by_session), (theirs, by_other)):
        assert (decide([policy], question) is Decision.ALLOW) is expected
        assert (decide([turned], question) is Decision.ALLOW) is not expected


def test_a_role_with_a_path_is_known_by_its_own_arn() -> None:
    pathed = f"arn:aws:iam::{ACCOUNT}:role/service-role/Train"
    policy = parse(document(allow(Principal={"AWS": pathed})), Kind.RESOURCE)
    plain = Question("s3:GetObject", "arn:aws:s3:::b/k", SESSION, ACCOUNT)
    assert decide([policy], plain) is Decision.IMPLICIT
    told = Question("s3:GetObject", "arn:aws:s3:::b/k", SESSION, ACCOUNT, {"aws:PrincipalArn": pathed})
    assert decide([policy], told) is Decision.ALLOW


def test_a_trust_lets_the_service_in() -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    policy = parse(document(trust), Kind.TRUST)
    assert decide([policy], Question("sts:AssumeRole", ROLE, "sagemaker.amazonaws.com")) is Decision.ALLOW
    assert decide([policy], Question("sts:AssumeRole", ROLE, "lambda.amazonaws.com")) is Decision.IMPLICIT


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("{", Kind.IDENTITY, "Syntax errors in policy."),
        ("[]", Kind.IDENTITY, "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', Kind.IDENTITY, "Syntax errors in policy."),
        ('{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Effect": "Deny"}}', Kind.IDENTITY, "Syntax errors in"),
        ('{"Statement": []}', Kind.IDENTITY, "Policy document must be version 2012-10-17 or greater."),
        (document(version="2012-10-18"), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow(effect="allow")), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow(effect="Maybe")), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow(NotAction="s3:*")), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow(More="x")), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow([1])), Kind.IDENTITY, "Syntax errors in policy."),
        (document({"Effect": "Allow", "Resource": "*"}), Kind.IDENTITY, "Policy statement must contain actions."),
        (document({"Effect": "Allow", "Action": "*"}), Kind.IDENTITY, "Policy statement must contain resources."),
        (document(allow([])), Kind.IDENTITY, "Policy statement must contain actions."),
        (document(allow(resources=[])), Kind.IDENTITY, "Policy statement must contain resources."),
        (document(allow("GetObject")), Kind.IDENTITY, "Actions/Conditions must be prefaced by a vendor"),
        (document(allow("s3:Get:Object")), Kind.IDENTITY, "Actions/Condition can contain only one colon."),
        (document(allow("s_3:Get")), Kind.IDENTITY, "Vendor s_3 is not valid"),
        (document(allow(resources="b/k")), Kind.IDENTITY, 'Resource b/k must be in ARN format or "*".'),
        (document(allow(Principal="*")), Kind.IDENTITY, "Policy document should not specify a principal."),
        (document(allow(Sid="a b")), Kind.IDENTITY, "Statement IDs (SID) must be alpha-numeric."),
        (document(allow(Sid="a"), allow(Sid="a")), Kind.IDENTITY, "Statement IDs (SID) in a single policy must be unique."),
        (document(allow(Condition={"StringIs": {"a": "b"}})), Kind.IDENTITY, "Invalid Condition type : StringIs"),
        (document(allow(Condition={"NullIfExists": {"a": "b"}})), Kind.IDENTITY, "Invalid Condition type : NullIfExists"),
        (document(allow(Condition={"Bool": "true"})), Kind.IDENTITY, "Syntax errors in policy."),
        (document(allow()), Kind.RESOURCE, "Missing required field Principal"),
        (document(allow(Principal={"AWS": "me"})), Kind.RESOURCE, 'Invalid principal in policy: "AWS":"me"'),
        (document(allow(Principal={"Aws": "*"})), Kind.RESOURCE, "Invalid principal in policy"),
        (document(allow("sts:AssumeRole", Principal="*")), Kind.TRUST, "Has prohibited field Resource"),
        (document({"Effect": "Allow", "Action": "s3:*", "Principal": "*"}), Kind.TRUST, "AssumeRole policy may only specify"),
    ],
)  # fmt: skip
def test_what_iam_refuses(text: str, kind: Kind, sentence: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(text, kind)
    assert str(refused.value).startswith(sentence)


def policies(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY) -> list[Any]:
    return [parse(document(*statements), kind)]


ALLOWED = policies(allow())
NONE: list[Any] = []
DENIED = policies(allow(effect="Deny"))
TO_USER = policies(allow(Principal={"AWS": USER}), kind=Kind.RESOURCE)
TO_ROLE = policies(allow(Principal={"AWS": ROLE}), kind=Kind.RESOURCE)
TO_SESSION = policies(allow(Principal={"AWS": SESSION}), kind=Kind.RESOURCE)
TO_ACCOUNT = policies(allow(Principal={"AWS": ACCOUNT}), kind=Kind.RESOURCE)
NOT_ME = policies(allow(Principal={"AWS": [USER, ROLE]}, effect="Deny"), kind=Kind.RESOURCE)
ELSE = policies(allow("iam:*"))


@pytest.mark.parametrize(
    ("who", "given", "decision", "because"),
    [
        (USER, {"identity": ALLOWED}, Decision.ALLOW, ""),
        (USER, {}, Decision.IMPLICIT, "identity-based policy"),
        (USER, {"identity": [*ALLOWED, *DENIED]}, Decision.DENY, "identity-based policy"),
        (USER, {"resource": TO_USER}, Decision.ALLOW, ""),
        (USER, {"resource": TO_USER, "boundary": ELSE}, Decision.ALLOW, ""),
        (USER, {"resource": TO_ACCOUNT}, Decision.IMPLICIT, "identity-based policy"),
        (USER, {"resource": TO_ACCOUNT, "identity": ALLOWED}, Decision.ALLOW, ""),
        (USER, {"resource": NOT_ME, "identity": ALLOWED}, Decision.DENY, "resource-based policy"),
        (USER, {"identity": ALLOWED, "boundary": ELSE}, Decision.IMPLICIT, "permissions boundary"),
        (USER, {"identity": ALLOWED, "boundary": ALLOWED}, Decision.ALLOW, ""),
        (USER, {"boundary": ALLOWED}, Decision.IMPLICIT, "identity-based policy"),
        (USER, {"identity": ALLOWED, "boundary": DENIED}, Decision.DENY, "permissions boundary"),
        (SESSION, {"identity": ALLOWED, "session": ELSE}, Decision.IMPLICIT, "session policy"),
        (SESSION, {"identity": ALLOWED, "session": ALLOWED}, Decision.ALLOW, ""),
        (SESSION, {"resource": TO_ROLE}, Decision.ALLOW, ""),
        (SESSION, {"resource": TO_ROLE, "session": ELSE}, Decision.IMPLICIT, "session policy"),
        (SESSION, {"resource": TO_SESSION, "session": ELSE}, Decision.ALLOW, ""),
        (USER, {"identity": ALLOWED, "owner": OTHER}, Decision.IMPLICIT, "resource-based policy"),
        (USER, {"resource": TO_USER, "owner": OTHER}, Decision.IMPLICIT, "identity-based policy"),
        (USER, {"identity": ALLOWED, "resource": TO_ACCOUNT, "owner": OTHER}, Decision.ALLOW, ""),
        (USER, {"identity": ALLOWED, "resource_must_allow": True}, Decision.IMPLICIT, "resource-based policy"),
    ],
)
def test_the_evaluation_logic(who: str, given: dict[str, Any], decision: Decision, because: str) -> None:
    verdict = evaluate(Question("s3:GetObject", "arn:aws:s3:::b/k", who, ACCOUNT), **given)
    assert (verdict.decision, verdict.because) == (decision, because)


def test_nobody_is_allowed_what_a_resource_gives_to_everybody() -> None:
    nobody = Question("s3:GetObject", "arn:aws:s3:::b/k")
    public = policies(allow(Principal="*"), kind=Kind.RESOURCE)
    assert evaluate(nobody, resource=public, owner=ACCOUNT).allowed
    assert not evaluate(nobody, resource=TO_ACCOUNT, owner=ACCOUNT).allowed


@pytest.mark.parametrize("kind", [Kind.TRUST, Kind.RESOURCE])
@pytest.mark.parametrize("beside", [
    {"Service": "sagemaker.amazonaws.com"}, {"Service": "*"}, {"AWS": [ROLE]}, {"AWS": [f"arn:aws:iam::{OTHER}:root"]},
    {"Federated": "*"}, {"CanonicalUser": "*"},
])  # fmt: skip
def test_an_account_is_trusted_as_a_whole_whoever_is_named_beside_it(beside: dict[str, Any], kind: Kind) -> None:
    """Delegation is judged by the principal that fits: what stands beside it says nothing of the others."""
    root = f"arn:aws:iam::{ACCOUNT}:root"
    principal = {**beside, "AWS": [root, *beside.get("AWS", [])]}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    if kind is Kind.RESOURCE:
        statement["Resource"] = "*"
    resource = policies(statement, kind=kind)
    own = policies(allow("sts:AssumeRole"))
    question = Question("sts:AssumeRole", ROLE, USER, ACCOUNT)
    for identity, decision in (([], Decision.IMPLICIT), (own, Decision.ALLOW)):
        made = evaluate(question, identity=identity, resource=resource, owner=ACCOUNT, resource_must_allow=True)
        assert made.decision is decision, identity


def test_what_only_looks_like_a_service_or_an_account_is_none() -> None:
    for principal in ({"Service": "*"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x:root"}):
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": principal}
        assert decide(policies(statement, kind=Kind.RESOURCE), requested()) is Decision.IMPLICIT
    service = Question("s3:GetObject", "arn:aws:s3:::b/k", "sns.amazonaws.com")
    anyone = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": {"Service": "*"}}
    assert decide(policies(anyone, kind=Kind.RESOURCE), service) is Decision.ALLOW
    assert decide(policies(anyone, kind=Kind.RESOURCE), Question("s3:GetObject", "arn:aws:s3:::b/k")) is not (
        Decision.ALLOW
    )


def test_refusals_say_why() -> None:
    question = Question("sagemaker:ListModels", "*", USER, ACCOUNT)
    assert evaluate(question).sentence(question) == (
        f"User: {USER} is not authorized to perform: sagemaker:ListModels on resource: *"
        " because no identity-based policy allows the sagemaker:ListModels action"
    )
    denied = requested()
    assert evaluate(denied, resource=NOT_ME).sentence(denied) == (
        f"User: {USER} is not authorized to perform: s3:GetObject on resource: "
        '"arn:aws:s3:::b/k" with an explicit deny in a resource-based policy'
    )


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    policy = parse(document(allow("*", "arn:aws:s3:::b/" + "*a" * 40 + "b")))
    assert decide([policy], requested(resource="arn:aws:s3:::b/" + "a" * 500)) is Decision.IMPLICIT
