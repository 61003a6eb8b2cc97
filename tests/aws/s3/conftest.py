"""A client and a bucket per test."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def s3(aws: Callable[..., Any]) -> Any:
    """Return an S3 client of the test's account."""
    return aws("s3", max_pool_connections=40)


@pytest.fixture
def bucket(s3: Any) -> str:
    """Return a bucket of the test's own."""
    name = f"b-{uuid.uuid4().hex[:20]}"
    s3.create_bucket(Bucket=name)
    return name
