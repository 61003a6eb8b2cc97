"""Tests of `backends/aws/lambda_`."""
