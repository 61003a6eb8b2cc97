"""Which release of `sagemaker-xgboost` is asked for."""

from __future__ import annotations

from containers.toolkit.release import tagged

NEWEST = (3, 0, 5)


def release() -> tuple[int, int, int]:
    """Return version and revision of the tag, (1, 7, 1) for `1.7-1`; the newest where the tag says none."""
    return tagged(NEWEST)
