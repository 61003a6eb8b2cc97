"""The Principal element. Identity policies have none: they speak of whoever they hang on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.policy.decide import Question
    from backends.core.policy.document import Statement


def includes(statement: Statement, question: Question) -> bool:
    """Tell whether a statement speaks of the one who asks."""
    if statement.principals is None:
        return True
    return any(_is(kind, value, question) for kind, value in statement.principals) != statement.not_principals


def _is(kind: str, value: str, question: Question) -> bool:
    if kind == "Service":
        return value in {"*", question.principal}
    if kind == "Federated":
        return question.principal == value
    if kind == "CanonicalUser":  # only S3's access lists know such ids
        return False
    if value == "*":
        return True
    account = _account(value)
    if account:  # an account is everybody in it
        return account == question.account
    return value in set(names(question))


def _account(value: str) -> str:
    if value.isdigit():
        return value
    return value.split(":")[4] if value.endswith(":root") else ""


def names(question: Question) -> Iterator[str]:
    """Yield the ARNs by which a policy may name who asks: its own, and of a session its role's."""
    yield question.principal
    yield from question.keys.get("aws:principalarn", ())
    role = role_of(question.principal)
    if role:
        yield role


def role_of(principal: str) -> str:
    """Give the ARN (without its path, which a session's ARN does not show) of a session's role, or an empty string."""
    parts = principal.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("assumed-role/"):
        return ""
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{parts[5].split('/')[1]}"


def directly(statement: Statement, question: Question) -> bool:
    """Tell whether a resource's statement names the very user or session, or everybody.

    Then neither a boundary nor a session policy, when it is merely silent, limits it (IAM user guide, "Policy evaluation
    for requests within a single account"). Unverified: that `*` counts as such.
    """
    exact = {question.principal, "*"}
    return any(value in exact for _, value in statement.principals or ()) and not statement.not_principals


def delegates(statement: Statement) -> bool:
    """Tell whether a statement names accounts only: it leaves the decision to their identity policies."""
    named = statement.principals or ()
    return not statement.not_principals and all(kind == "AWS" and _account(value) for kind, value in named)
