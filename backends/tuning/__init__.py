"""Tuning: search for the hyperparameters of the best training job.

AWS calls it: HyperParameterTuningJob. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Automatic model tuning with SageMaker AI" (https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html).
"""
