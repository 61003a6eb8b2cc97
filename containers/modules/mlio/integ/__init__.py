"""Tensors as other libraries have them."""
