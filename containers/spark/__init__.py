"""The recipe of `sagemaker-spark-processing`: PySpark on one host, and `smspark-submit`, which SageMaker's SDK calls."""
