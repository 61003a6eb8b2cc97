"""The HTTP layer: requests in, answers out. It knows no component by name."""
