"""The recipes' real environments, as the tests of containers have them."""

from __future__ import annotations

from tests.containers.conftest import python

__all__ = ["python"]
