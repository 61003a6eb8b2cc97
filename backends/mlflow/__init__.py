"""MLflow: tracking servers and apps.

AWS calls it: MlflowTrackingServer and MlflowApp. States: none, since nothing can be made until its engine is there: Create
answers 501 (NotImplemented) and says what it waits for, List an empty page, the rest AWS's not-found.
Tables: none. Events: none.
Guide: "Manage machine learning experiments with managed MLflow" (https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow.html).
"""
