"""Shared by all recipes: the /opt/ml contract, script mode, and the one HTTP front that serves every kind of model."""
