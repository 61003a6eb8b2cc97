"""Compilation jobs."""
