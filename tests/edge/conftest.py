"""Models to compile, as the tests of compilation have them."""

from __future__ import annotations

from tests.compilation.conftest import made, python

__all__ = ["made", "python"]
