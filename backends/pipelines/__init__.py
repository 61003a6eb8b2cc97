"""Pipelines: graphs of steps, each change of a definition a new version, and what executes them.

AWS calls it: Pipeline, PipelineVersion, PipelineExecution. States: a pipeline Active; an execution Executing -> Succeeded,
Failed, or Stopping -> Stopped; a retry makes it Executing again. Tables: none of its own: what an execution's steps have
come to is the state of a parent that waits. Events sent: each noun's, and PipelineExecutionStep's (Starting, Executing, Stopping,
Succeeded, Failed, Stopped), whose ARN is the execution's. Heard: what executions wait for (jobs, packages, endpoints).
Read first: `step.py` (what is next), `graph.py` and `expressions.py` (the definition), `engine.py` (what runs outside of transactions).
Guide: "Pipelines" (https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines.html).
"""
