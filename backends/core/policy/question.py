"""What is asked of policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Question:
    """What is asked: may this principal do this action on this resource.

    `action` is `s3:GetObject`, `resource` an ARN or `*`. `principal` is an ARN (user, role session, `...:root`), a service
    (`sagemaker.amazonaws.com`) or empty (anonymous); `account` is its account. `context` holds condition keys in any case,
    each with one value or several; `aws:PrincipalArn` there is the role's ARN with its path when a session asks.
    """

    action: str
    resource: str
    principal: str = ""
    account: str = ""
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(init=False)
    """The context as conditions read it: lower-case names, tuples of values."""

    def __post_init__(self) -> None:
        keys = {
            name.lower(): (value,) if isinstance(value, str) else tuple(value) for name, value in self.context.items()
        }
        object.__setattr__(self, "keys", keys)
