"""Tests of backends/models."""
