"""Autopilot: look for the best model of a table, a series of times, images or text.

AWS calls it: AutoMLJob and AutoMLJobV2, one job seen in two ways. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Amazon SageMaker Autopilot" (https://docs.aws.amazon.com/sagemaker/latest/dg/autopilot-automate-model-development.html).
"""
