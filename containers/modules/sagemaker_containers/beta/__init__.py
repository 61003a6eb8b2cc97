"""Home of `framework`."""
