"""What runs inside jobs: one folder per recipe, and the toolkit they share. Imports nothing of the server's.

Every recipe is a package with a `__main__` that takes `train` or `serve`; the same command runs in a Docker image (where
`train` and `serve` are scripts on PATH) and in a virtual environment of the process runner.
"""
