"""The two types of this package: a request to a service, and what has to be authorized for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One request: botocore's service name (of a service that moto answers its signing name), operation and input."""

    service: str
    operation: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One action on one resource, with the condition keys that are this action's own.

    `owner` is the resource's account where it may be another's, `policy` the kind of policy that may hang on it.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    owner: str = ""
    policy: str = ""
