"""Tests of backends/core."""
