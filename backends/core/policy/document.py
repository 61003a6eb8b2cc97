"""A policy document read and checked. Sentences are those that IAM gives with MalformedPolicyDocument.

What is checked is the grammar: that actions, keys and vendors exist is left to Access Analyzer, as IAM leaves it.
"""

from __future__ import annotations

import enum
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from backends.core.policy import conditions, patterns
from backends.core.policy.conditions import Condition

VERSIONS = ("2012-10-17", "2008-10-17")
_SID = re.compile(r"[0-9A-Za-z]*")
_VENDOR = re.compile(r"[A-Za-z0-9-]+")
_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:(?:root|user/.+|role/.+|assumed-role/.+/.+|federated-user/.+)"
)
_PRINCIPAL_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
_DOCUMENT_KEYS = {"Version", "Id", "Statement"}
_STATEMENT_KEYS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip
PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
ASSUMING = ("sts:assumerole", "sts:tagsession", "sts:setsourceidentity", "sts:setcontext")
SYNTAX, INVALID_JSON = "Syntax errors in policy.", "This policy contains invalid Json"


class Kind(enum.Enum):
    """Where a policy hangs: on an identity (no Principal), on a resource (Principal), or as a role's trust (no Resource)."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    TRUST = "trust"


class PolicyError(ValueError):
    """A document that IAM refuses: `str()` is its sentence.

    `fault` is one of json, syntax, version, sid, effect, principal, action, resource, condition, for services with
    sentences of their own.
    """

    def __init__(self, fault: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `principals` are (kind, value) pairs, None in identity policies; empty `resources`: a trust policy.

    The `not_...` flags turn their list round (NotAction, ...). `variables`: a version that knows `${...}`.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...] | None
    not_resources: bool
    principals: tuple[tuple[str, str], ...] | None
    not_principals: bool
    conditions: tuple[Condition, ...]
    variables: bool
    action_pattern: re.Pattern[str]
    """All of `actions` in one: a policy of AWS's may list hundreds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document's statements, in its order."""

    statements: tuple[Statement, ...]

    def context_keys(self) -> list[str]:
        """Return the keys that its conditions and variables read, sorted."""
        keys = {condition.key for statement in self.statements for condition in statement.conditions}
        texts = [
            text
            for statement in self.statements
            for text in (*(statement.resources or ()), *(v for c in statement.conditions for v in c.values))
            if statement.variables
        ]
        for text in texts:
            keys |= {name.split(",")[0].strip() for name in re.findall(r"\$\{([^}]*)\}", text)} - {"*", "?", "$"}
        return sorted(keys)


@lru_cache(2048)
def parse(text: str, kind: Kind = Kind.IDENTITY) -> Policy:
    """Read and check a document. Raises PolicyError."""
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        if isinstance(error, PolicyError):
            raise
        raise PolicyError("json", INVALID_JSON if kind is Kind.TRUST else SYNTAX) from error
    except RecursionError as error:
        raise PolicyError("json", SYNTAX) from error
    if not isinstance(document, dict) or not document.keys() <= _DOCUMENT_KEYS:
        raise PolicyError("syntax", SYNTAX)
    version = document.get("Version", "2008-10-17")
    if version not in VERSIONS:
        raise PolicyError("version", SYNTAX)
    if kind is Kind.IDENTITY and version != VERSIONS[0]:
        raise PolicyError("version", "Policy document must be version 2012-10-17 or greater.")
    if not isinstance(document.get("Id", ""), str) or "Statement" not in document:
        raise PolicyError("syntax", SYNTAX)
    given = document["Statement"]
    listed = given if isinstance(given, list) else [given]
    statements = tuple(_statement(entry, kind, variables=version == VERSIONS[0]) for entry in listed)
    sids = [statement.sid for statement in statements if statement.sid]
    if len(set(sids)) != len(sids):
        raise PolicyError("sid", "Statement IDs (SID) in a single policy must be unique.")
    return Policy(statements)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise PolicyError("json", SYNTAX)
    return members


def _statement(given: Any, kind: Kind, *, variables: bool) -> Statement:
    if not isinstance(given, dict) or not given.keys() <= _STATEMENT_KEYS:
        raise PolicyError("syntax", SYNTAX)
    sid = given.get("Sid", "")
    if not isinstance(sid, str):
        raise PolicyError("sid", SYNTAX)
    if kind is not Kind.RESOURCE and _SID.fullmatch(sid) is None:
        raise PolicyError(
            "sid",
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
        )
    if given.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError("effect", SYNTAX)
    actions, not_actions = _actions(given, kind)
    resources, not_resources = _resources(given, kind)
    principals, not_principals = _principals(given, kind)
    if not_principals and given["Effect"] == "Allow" and kind is Kind.TRUST:
        raise PolicyError("principal", "Allow with NotPrincipal is not allowed.")
    return Statement(
        sid, given["Effect"] == "Allow", actions, not_actions, resources, not_resources, principals, not_principals,
        _conditions(given.get("Condition", {})), variables, patterns.any_of(actions),
    )  # fmt: skip


def _either(given: dict[str, Any], name: str, fault: str) -> tuple[Any, bool]:
    """Return an element or its negation; both at once are none of the grammar."""
    if name in given and f"Not{name}" in given:
        raise PolicyError(fault, SYNTAX)
    return (given[f"Not{name}"], True) if f"Not{name}" in given else (given.get(name), False)


def _texts(value: Any, fault: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in listed):
        raise PolicyError(fault, SYNTAX)
    return tuple(listed)


def _actions(given: dict[str, Any], kind: Kind) -> tuple[tuple[str, ...], bool]:
    value, negated = _either(given, "Action", "action")
    if value is None or value == []:
        raise PolicyError("action", "Policy statement must contain actions.")
    actions = _texts(value, "action")
    for action in actions:
        vendor, colon, rest = action.partition(":")
        if action == "*":
            continue
        if not colon:
            raise PolicyError("action", "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if ":" in rest:
            raise PolicyError("action", "Actions/Condition can contain only one colon.")
        if _VENDOR.fullmatch(vendor) is None:
            raise PolicyError("action", f"Vendor {vendor} is not valid")
        if kind is Kind.TRUST and not action.lower().startswith(ASSUMING):
            raise PolicyError("action", "AssumeRole policy may only specify STS AssumeRole actions.")
    return actions, negated


def _resources(given: dict[str, Any], kind: Kind) -> tuple[tuple[str, ...] | None, bool]:
    value, negated = _either(given, "Resource", "resource")
    if kind is Kind.TRUST:
        if value is not None:
            raise PolicyError("resource", "Has prohibited field Resource")
        return None, False
    if value is None or value == []:
        raise PolicyError("resource", "Policy statement must contain resources.")
    resources = _texts(value, "resource")
    for resource in resources:
        if resource != "*" and not resource.startswith("arn:") and kind is Kind.IDENTITY:
            raise PolicyError("resource", f'Resource {resource} must be in ARN format or "*".')
    return resources, negated


def _principals(given: dict[str, Any], kind: Kind) -> tuple[tuple[tuple[str, str], ...] | None, bool]:
    value, negated = _either(given, "Principal", "principal")
    if kind is Kind.IDENTITY:
        if value is not None:
            raise PolicyError("principal", "Policy document should not specify a principal.")
        return None, False
    if value is None:
        raise PolicyError("principal", "Missing required field Principal")
    if value == "*":
        return (("AWS", "*"),), negated
    if not isinstance(value, dict) or not value or not value.keys() <= set(PRINCIPAL_KINDS):
        raise PolicyError("principal", "Invalid principal in policy")
    pairs = tuple((name, text) for name, listed in value.items() for text in _texts(listed, "principal"))
    for name, text in pairs:
        if not _is_principal(name, text):
            raise PolicyError("principal", f'Invalid principal in policy: "{name}":"{text}"')
    return pairs, negated


def _is_principal(kind: str, text: str) -> bool:
    if kind != "AWS":
        return bool(text)
    known = (_ACCOUNT, _PRINCIPAL_ARN, _PRINCIPAL_ID)
    return text == "*" or any(pattern.fullmatch(text) is not None for pattern in known)


def _conditions(given: Any) -> tuple[Condition, ...]:
    if not isinstance(given, dict):
        raise PolicyError("condition", SYNTAX)
    parsed = []
    for name, tests in given.items():
        operator = conditions.read_operator(name)
        if operator is None:
            raise PolicyError("condition", f"Invalid Condition type : {name}")
        if not isinstance(tests, dict):
            raise PolicyError("condition", SYNTAX)
        for key, value in tests.items():
            listed = value if isinstance(value, list) else [value]
            if not all(isinstance(entry, str | bool | int | float) for entry in listed):
                raise PolicyError("condition", SYNTAX)
            values = tuple(entry if isinstance(entry, str) else json.dumps(entry) for entry in listed)
            parsed.append(Condition(*operator, key.lower(), values))
    return tuple(parsed)
