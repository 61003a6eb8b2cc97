"""Tests: one folder per room, named like it."""
