"""Pipelines: definitions of steps, each change a new version. Executions wait for their engine: starting one answers 501.

AWS calls it: Pipeline, PipelineVersion. States: Active. Tables: none of its own.
Events sent: Pipeline and PipelineVersion created and deleted. Heard: none.
Guide: "Pipelines" (https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines.html).
"""
