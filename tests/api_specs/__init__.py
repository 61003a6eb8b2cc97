"""Tests of the model: constraints, patterns, facts."""
