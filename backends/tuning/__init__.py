"""Tuning: search for the hyperparameters of the best training job.

AWS calls it: HyperParameterTuningJob (Create, Describe, List, Stop, Delete, ListTrainingJobsForHyperParameterTuningJob). States:
InProgress, Completed, Failed, Stopping, Stopped. A job is a parent that waits for its training jobs: `operations.py` accepts it,
`autotune.py` chooses what its request leaves open, `step.py` decides what follows what, `progress.py` what it has come to and when
that is enough, `ranges.py` and `sampler.py` choose values (Bayesian is Optuna's TPE sampler, Random its uniform one, Grid every
combination in order, Hyperband uniform too), `early.py` which training jobs are stopped early, `summaries.py` says how one did.
Tables: none. Events sent: HyperParameterTuningJob at each status. Heard: its own, and TrainingJob at each status.
Guide: "Automatic model tuning with SageMaker AI" (https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html).
"""
