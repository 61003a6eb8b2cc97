"""The language of IAM policies: what a document says, and what several of them decide together. Pure: no I/O, no clock.

    policy = parse(text, Kind.RESOURCE)                     # PolicyError (a ValueError) says what is wrong with it
    question = Question("s3:GetObject", "arn:aws:s3:::b/k", principal, account, {"aws:SourceIp": "127.0.0.1"})
    decide([policy], question) is Decision.ALLOW            # ALLOW, DENY (explicit) or IMPLICIT (nothing said so)
    evaluate(question, identity=[...], resource=[policy])   # AWS's logic over all kinds of policies

Sources: IAM user guide, "IAM JSON policy element reference", "Grammar of the IAM JSON policy language" and "Policy
evaluation logic" (2026-11). Own code: no kept Python library evaluates conditions (policyuniverse, policy-sentry and
parliament read, write and lint; moto's access control ignores conditions; principalmapper is AGPL and ended in 2022).
"""

from __future__ import annotations

from backends.core.policy.decide import Decision, decide, matching
from backends.core.policy.document import Kind, Policy, PolicyError, Statement, parse
from backends.core.policy.evaluate import Verdict, evaluate
from backends.core.policy.question import Question

__all__ = [
    "Decision", "Kind", "Policy", "PolicyError", "Question", "Statement", "Verdict", "decide", "evaluate", "matching",
    "parse",
]  # fmt: skip
