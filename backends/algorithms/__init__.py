"""Algorithms: a training image (and inference containers) with what may be requested of it, for training jobs that name it.

AWS calls it: Algorithm. States: Completed at once without a ValidationSpecification; with one Pending -> InProgress -> Completed |
Failed, as the training job of its profile ends (a transform job in the profile answers 501). Tables: none. Events sent: Algorithm
at its statuses. Heard: its own and those of its training job (`backends/core/parents.py`). What a training job requests of it is checked
by `backends/training/algorithm.py`.
Guide: "Use an Algorithm to Run a Training Job" and "Create an Algorithm Resource"
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-mkt-create-algo.html).
"""
