"""Batch transform: start a model's containers, ask them about every object below a prefix, write their answers beside.

AWS calls it: TransformJob (Create, Describe, List, Stop). States: InProgress, Completed, Failed, Stopping, Stopped.
`operations.py` declares the resource and accepts a job, `document.py` reads what its document asks for, `records.py` splits and packs,
`processing.py` filters and joins by the paths of `jsonpath.py`, `client.py` asks the containers, `engine.py` drives a job.

Every instance has all containers of the model and its share of the objects. An object's answers go to one output object, and only
when all of them came; a failed object fails the job at its end, and what could be transformed is there. A stop keeps what is done.
After a crash an instance goes on with the object that it was at.
Tables: none of its own. Events sent: TransformJob at each status. Heard: TransformJob created (queued). Every event of
a job wakes its driver.
Guide: "Batch transform for inference with Amazon SageMaker AI"
(https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html).
"""
