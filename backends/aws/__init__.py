"""The AWS services that SageMaker's users lean on: ours where jobs depend on them, moto's for all others."""
