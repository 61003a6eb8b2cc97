"""Unmodified clients: both SageMaker SDKs and the AWS CLI, each in an environment of its own, cut off from everything else.

The scripts in `flows/` are written for real SageMaker. They run under `localmaker run` in a network namespace whose only way
leads to the server; whatever they, the server or its jobs send elsewhere is dropped and counted, and must be nothing.
"""
