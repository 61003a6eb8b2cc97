"""A component of the tests' own, and its life: the example that the next components copy."""
