"""Which failures of a step are tried again, and when.

Source: developer guide, "Retry Policy for Pipeline Steps"; SDK v2 `workflow/retry.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_FAULT, THROTTLING = "Step.SERVICE_FAULT", "Step.THROTTLING"
INTERNAL, CAPACITY, LIMIT = "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"
DEFAULTS: tuple[Mapping[str, Any], ...] = (
    {"ExceptionType": [SERVICE_FAULT, THROTTLING], "IntervalSeconds": 1, "BackoffRate": 2.0, "MaxAttempts": 3},
)
"""What the service does by itself. Unverified: how often."""
REFUSALS = {
    "ThrottlingException": THROTTLING,
    "Throttling": THROTTLING,
    "ResourceLimitExceeded": LIMIT,
    "InternalFailure": SERVICE_FAULT,
    "InternalServerError": SERVICE_FAULT,
    "ServiceUnavailable": SERVICE_FAULT,
}
FAILURES = {"InternalServerError": INTERNAL, "CapacityError": CAPACITY}
NOT_INTERNAL = frozenset({"Tuning", "AutoML"})
"""Types of steps for which an internal error of the job is not tried again."""
MOST_DOUBLED, LEAST_PAUSE_S, LONGEST_PAUSE_S = 20, 1.0, 30 * 86400.0
RETRIED = frozenset({"Training", "Processing", "Transform", "Tuning", "AutoML", "Model", "RegisterModel"})


def of_refusal(code: str) -> str:
    """Return the exception type of a refused call, empty for one that is not tried again."""
    return REFUSALS.get(code, "")


def of_failure(step_type: str, reason: str) -> str:
    """Return the exception type of a failed job, by how its reason begins."""
    exception = FAILURES.get(reason.partition(":")[0].strip(), "")
    return "" if exception == INTERNAL and step_type in NOT_INTERNAL else exception


def next_at(
    step: Mapping[str, Any], exception: str, failures: Mapping[str, int], began: float, now: float
) -> float | None:
    """Return when a step is tried again, None for never. `failures`: how many of its attempts failed by each exception type."""
    declared = step["retry"] if step["type"] in RETRIED else []
    policy = next((each for each in [*declared, *DEFAULTS] if exception and exception in each["ExceptionType"]), None)
    if policy is None:
        return None
    attempts = sum(failures.get(each, 0) for each in set(policy["ExceptionType"]))
    if "ExpireAfterMin" in policy:
        if now - began >= policy["ExpireAfterMin"] * 60:
            return None
    elif attempts > policy.get("MaxAttempts", 5):
        return None
    pause_s = float(policy.get("IntervalSeconds", 1)) * float(policy.get("BackoffRate", 2.0)) ** min(
        attempts - 1, MOST_DOUBLED
    )
    return now + min(max(pause_s, LEAST_PAUSE_S), LONGEST_PAUSE_S)
