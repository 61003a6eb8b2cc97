"""What some policies of one kind say to a question: an explicit deny wins, then any allow, then nothing was said."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from backends.core.policy import patterns, principals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backends.core.policy.document import Policy, Statement
    from backends.core.policy.question import Question


class Decision(enum.Enum):
    """The values are those of SimulatePrincipalPolicy's EvalDecision."""

    ALLOW = "allowed"
    DENY = "explicitDeny"
    IMPLICIT = "implicitDeny"


def decide(policies: Iterable[Policy], question: Question) -> Decision:
    """Return what the policies decide together; their order and that of their statements does not matter."""
    decision = Decision.IMPLICIT
    for statement in matching(policies, question):
        if not statement.allows:
            return Decision.DENY
        decision = Decision.ALLOW
    return decision


def matching(policies: Iterable[Policy], question: Question) -> Iterator[Statement]:
    """Yield the statements that apply to a question."""
    for policy in policies:
        for statement in policy.statements:
            if applies(statement, question):
                yield statement


def applies(statement: Statement, question: Question) -> bool:
    """Return whether a statement is about this action, resource and principal, and its conditions hold."""
    return (
        (statement.action_pattern.fullmatch(question.action) is not None) != statement.not_actions
        and _about_resource(statement, question)
        and principals.includes(statement, question)
        and all(condition.holds(question.keys, variables=statement.variables) for condition in statement.conditions)
    )


def _about_resource(statement: Statement, question: Question) -> bool:
    if statement.resources is None:  # a trust policy is about its role
        return True
    matches = any(
        patterns.arn_like(pattern, question.resource, question.keys, variables=statement.variables)
        for pattern in statement.resources
    )
    return matches != statement.not_resources
