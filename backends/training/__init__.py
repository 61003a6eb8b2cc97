"""Training: run an algorithm's container on data from S3 and keep what it leaves.

AWS calls it: TrainingJob (Create, Describe, List, Stop, Update, Delete). States: InProgress, Completed, Failed,
Stopping, Stopped, with secondary statuses (`status.py`). This component is the canonical example of a job: `operations.py`
accepts it, `plan.py` turns the document into a JobSpec, `engine.py` drives it, `artifacts.py` brings home what it made.
Tables: none of its own. Events sent: TrainingJob at each status, TrainingJob.SecondaryStatus at each secondary one.
Heard: TrainingJob created (queued), TrainingJob Stopping (its driver is woken).
Guide: "Train a model with Amazon SageMaker" (https://docs.aws.amazon.com/sagemaker/latest/dg/how-it-works-training.html).
"""
