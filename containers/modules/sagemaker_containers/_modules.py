"""Importing and running a user's module."""

from sagemaker_training.modules import import_module

__all__ = ["import_module"]
