"""Training: run an algorithm's container on data from S3 and keep what it leaves.

AWS calls it: TrainingJob (Create, Describe, List, Stop, Update, Delete). States: InProgress, Completed, Failed,
Stopping, Stopped, with secondary statuses (`status.py`). This component is the canonical example of a job: `operations.py`
accepts it, `document.py` reads what its document asks for, `engine.py` says what is its own in a job of containers.
Tables: none of its own. Events sent: TrainingJob at each status, TrainingJob.SecondaryStatus at each secondary one.
Heard: TrainingJob created (queued). Every event of a job wakes its driver.
Guide: "Train a model with Amazon SageMaker" (https://docs.aws.amazon.com/sagemaker/latest/dg/how-it-works-training.html).
"""
