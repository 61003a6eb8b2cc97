"""Batch transform: ask a model about every object below a prefix.

AWS calls it: TransformJob. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Batch transform for inference with Amazon SageMaker AI" (https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html).
"""
