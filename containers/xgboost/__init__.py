"""`sagemaker-xgboost`: the built-in algorithm, script mode, and serving (contract: training.md §12)."""
