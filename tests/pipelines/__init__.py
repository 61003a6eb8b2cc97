"""Pipelines: definitions and their versions."""
