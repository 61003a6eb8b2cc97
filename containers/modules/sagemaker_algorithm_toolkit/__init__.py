"""Errors of the built-in algorithms."""
