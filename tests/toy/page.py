"""The toy component's console page; imported when it is visited first."""

from __future__ import annotations


def build() -> str:
    """Return what stands on the page."""
    return "compilation jobs"
