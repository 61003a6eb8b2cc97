"""Customization of foundation models, without instances of one's own.

AWS calls it: Job and TrainingSession. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Customize models" (https://docs.aws.amazon.com/sagemaker/latest/dg/customize-model.html).
"""
