"""Batch transform."""
