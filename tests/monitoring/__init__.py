"""Model Monitor: what is watched."""
