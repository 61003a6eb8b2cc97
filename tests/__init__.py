"""Tests: one folder per component, named like it."""
