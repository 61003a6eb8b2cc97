"""The recipe that stands for `sagemaker-base-python-*`: Python and the SageMaker SDK, for `@remote` functions."""
