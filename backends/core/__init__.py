"""The kernel: what every room stands on."""
