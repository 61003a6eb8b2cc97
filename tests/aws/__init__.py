"""The AWS services beside SageMaker."""
