"""Models: which containers and artifacts an endpoint, transform job or pipeline serves.

AWS calls it: Model (CreateModel, DescribeModel, ListModels, DeleteModel). States: none; a model is a pure record, and
this component is the canonical example of one. Tables: none of its own. Events: none sent, none heard.
Guide: "Create a model" (https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html).
"""
