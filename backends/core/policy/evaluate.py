"""AWS's evaluation logic over all kinds of policies of one request.

An explicit deny anywhere ends it. Within one account an identity policy or the resource's own is enough; across accounts
both must allow. A boundary and a session policy must allow what an identity policy allows. Organizations do not exist here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.core.policy import principals
from backends.core.policy.decide import Decision, decide, matching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.policy.document import Policy
    from backends.core.policy.question import Question

IDENTITY, RESOURCE = "identity-based policy", "resource-based policy"
BOUNDARY, SESSION = "permissions boundary", "session policy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and for a refusal the kind of policy that is its reason."""

    decision: Decision
    because: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the request may go on."""
        return self.decision is Decision.ALLOW

    def sentence(self, question: Question) -> str:
        """Write AWS's refusal ("Troubleshoot access denied error messages"). Across services only the ARN's quotes differ."""
        who = f"User: {question.principal or 'anonymous'} is not authorized to perform: {question.action}"
        quote = '"' if question.action.startswith("s3:") else ""
        on = f" on resource: {quote}{question.resource}{quote}"
        if self.decision is Decision.DENY:
            return f"{who}{on} with an explicit deny in {'an' if self.because[0] in 'ai' else 'a'} {self.because}"
        return f"{who}{on} because no {self.because} allows the {question.action} action"


def evaluate(
    question: Question,
    *,
    identity: Sequence[Policy] = (),
    resource: Sequence[Policy] = (),
    boundary: Sequence[Policy] | None = None,
    session: Sequence[Policy] | None = None,
    owner: str = "",
    resource_must_allow: bool = False,
) -> Verdict:
    """Decide. `owner` is the resource's account (empty: the principal's); None for a boundary or session means that none is set.

    `resource_must_allow`: what only the resource's own policy can open, a role's trust for one.
    """
    given = {IDENTITY: identity, RESOURCE: resource, BOUNDARY: boundary, SESSION: session}
    said = {name: decide(policies, question) for name, policies in given.items() if policies is not None}
    for name, decision in said.items():
        if decision is Decision.DENY:
            return Verdict(Decision.DENY, name)
    opened = said[RESOURCE] is Decision.ALLOW
    if not question.account:  # nobody, or a service: no identity policy speaks of those
        return Verdict(Decision.ALLOW) if opened else Verdict(Decision.IMPLICIT, RESOURCE)
    allows = [statement for statement in matching(resource, question) if statement.allows] if opened else []
    same_account = not owner or owner == question.account
    if same_account and any(principals.directly(statement, question) for statement in allows):
        return Verdict(Decision.ALLOW)
    named = same_account and any(not principals.delegates(statement, question) for statement in allows)
    silent = [name for name in (IDENTITY, BOUNDARY, SESSION) if said.get(name) is Decision.IMPLICIT]
    if named and IDENTITY in silent:
        silent.remove(IDENTITY)
    if (resource_must_allow or not same_account) and not opened:
        silent.insert(0, RESOURCE)
    return Verdict(Decision.IMPLICIT, silent[0]) if silent else Verdict(Decision.ALLOW)
