"""The Principal element. Identity policies have none: they speak of whoever they hang on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.policy.document import Statement
    from backends.core.policy.question import Question


ROOT = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")
ACCOUNT = re.compile(r"[0-9]{12}")


def includes(statement: Statement, question: Question) -> bool:
    """Return whether a statement speaks of the one who asks."""
    if statement.principals is None:
        return True
    return any(_is(kind, value, question) for kind, value in statement.principals) != statement.not_principals


def _is(kind: str, value: str, question: Question) -> bool:
    if kind == "Service":
        return is_service(question) and value in {"*", question.principal}
    if kind == "Federated":
        return bool(value) and question.principal == value
    if kind == "CanonicalUser":  # only S3's access lists know such ids
        return False
    if value == "*":
        return True
    account = _account(value)
    if account:  # an account is everybody in it
        return account == question.account
    return value in set(names(question))


def is_service(question: Question) -> bool:
    """Return whether one of AWS's services asks, for itself: it has a name that is no ARN, and no account."""
    return bool(question.principal) and not question.account and not question.principal.startswith("arn:")


def _account(value: str) -> str:
    """Return the account that a principal stands for as a whole, or an empty string."""
    if ACCOUNT.fullmatch(value):
        return value
    root = ROOT.fullmatch(value)
    return root[1] if root is not None else ""


def names(question: Question) -> Iterator[str]:
    """Yield the ARNs by which a policy may name who asks: its own, and of a session its role's."""
    yield question.principal
    yield from question.keys.get("aws:principalarn", ())
    role = role_of(question.principal)
    if role:
        yield role


def role_of(principal: str) -> str:
    """Return the ARN (without its path, which a session's ARN does not show) of a session's role, or an empty string."""
    parts = principal.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("assumed-role/"):
        return ""
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{parts[5].split('/')[1]}"


def session_of(principal: str) -> str:
    """Return the name of a role's session from its ARN, or an empty string."""
    return principal.rpartition("/")[2] if role_of(principal) else ""


def directly(statement: Statement, question: Question) -> bool:
    """Return whether a resource's statement names the very user or session that asks, or everybody.

    Then neither a boundary nor a session policy, when it is merely silent, limits it (IAM user guide, "Policy evaluation
    for requests within a single account"). Unverified: that `*` counts as such.
    """
    exact = {question.principal, "*"}
    return not statement.not_principals and any(value in exact for value in _matched(statement, question))


def delegates(statement: Statement, question: Question) -> bool:
    """Return whether a statement speaks of the one who asks through its account only.

    Then the decision is left to the account's identity policies, whoever else the statement names beside it.
    """
    return not statement.not_principals and all(_account(value) for value in _matched(statement, question))


def _matched(statement: Statement, question: Question) -> list[str]:
    """Return those of a statement's principals that are the one who asks."""
    return [value for kind, value in statement.principals or () if _is(kind, value, question)]
