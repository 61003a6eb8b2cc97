"""Notebooks: what stands beside the instances."""
