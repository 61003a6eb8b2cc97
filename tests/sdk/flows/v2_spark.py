"""PySparkProcessor of SDK v2: an application with a module of its own, a configuration, event logs, arguments."""

import pathlib
import tempfile

import sagemaker
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.s3 import S3Downloader
from sagemaker.spark.processing import PySparkProcessor

APPLICATION = """
import sys
from pyspark.sql import SparkSession, functions
from neighbour import WORD

spark = SparkSession.builder.appName("count").getOrCreate()
frame = spark.read.csv("/opt/ml/processing/input/data", header=True, inferSchema=True)
counted = frame.groupBy("kind").agg(functions.sum("value").alias("total")).orderBy("kind")
counted.coalesce(1).write.mode("overwrite").csv("/opt/ml/processing/out/counted")
assert spark.conf.get("spark.sql.shuffle.partitions") == "3"
print(WORD, sys.argv[1:], counted.collect())
spark.stop()
"""

folder = pathlib.Path(tempfile.mkdtemp())
(folder / "application.py").write_text(APPLICATION)
(folder / "neighbour.py").write_text("WORD = 'counted'")
(folder / "data.csv").write_text("kind,value\n" + "\n".join(f"{'ab'[n % 2]},{n}" for n in range(10)))

bucket = sagemaker.Session().default_bucket()
processor = PySparkProcessor(
    framework_version="3.5",
    py_version="py312",
    container_version="1",
    role=sagemaker.get_execution_role(),
    instance_type="ml.m5.xlarge",
    instance_count=1,
)
processor.run(
    submit_app=str(folder / "application.py"),
    submit_py_files=[str(folder / "neighbour.py")],
    inputs=[ProcessingInput(source=str(folder / "data.csv"), destination="/opt/ml/processing/input/data")],
    outputs=[ProcessingOutput(output_name="out", source="/opt/ml/processing/out", destination=f"s3://{bucket}/spark")],
    arguments=["--first", "two words"],
    configuration=[{"Classification": "spark-defaults", "Properties": {"spark.sql.shuffle.partitions": "3"}}],
    spark_event_logs_s3_uri=f"s3://{bucket}/events",
)
described = processor.latest_job.describe()
assert described["ProcessingJobStatus"] == "Completed", described
keys = S3Downloader.list(f"s3://{bucket}/spark/counted/part-")
assert [S3Downloader.read_file(key) for key in keys] == ["a,20\nb,25\n"], keys
assert S3Downloader.list(f"s3://{bucket}/events"), "the event log"
print("FLOW PASSED")
