"""The life of every resource kind, driven against a simple model."""
