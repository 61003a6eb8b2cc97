"""Tests of `backends/jobs`."""
