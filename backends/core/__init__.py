"""The kernel: what every component stands on."""
