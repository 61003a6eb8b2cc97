"""When a delivery is given up: pure of any target."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backends.aws.events.deliver import _is_over
from backends.core.errors import AwsError
from backends.core.work import Item

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("code", "status", "attempts", "age_s", "policy", "is_over"),
    [
        ("InternalFailure", 500, 0, 0, {}, False),
        ("ThrottlingException", 400, 3, 60, {}, False),
        ("ResourceNotFoundException", 400, 0, 0, {}, True),
        ("AccessDeniedException", 403, 0, 0, {}, True),
        ("NotImplemented", 501, 0, 0, {}, True),
        ("InternalFailure", 500, 184, 0, {}, False),
        ("InternalFailure", 500, 185, 0, {}, True),
        ("InternalFailure", 500, 0, 0, {"MaximumRetryAttempts": 0}, True),
        ("InternalFailure", 500, 1, 0, {"MaximumRetryAttempts": 2}, False),
        ("InternalFailure", 500, 1, 86_400, {}, True),
        ("InternalFailure", 500, 1, 59, {"MaximumEventAgeInSeconds": 60}, False),
        ("InternalFailure", 500, 1, 60, {"MaximumEventAgeInSeconds": 60}, True),
    ],
)
def test_what_may_pass_is_tried_as_often_and_as_long_as_the_policy_says(
    code: str,
    status: int,
    attempts: int,
    age_s: float,
    policy: dict[str, int],
    is_over: bool,
) -> None:
    cx: Any = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW))
    item = Item(1, "q", "k", "a", "r", NOW - age_s, None, attempts, {})
    assert _is_over(cx, item, {"RetryPolicy": policy}, AwsError(code, "", status)) is is_over
