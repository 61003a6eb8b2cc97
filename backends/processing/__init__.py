"""Processing: run a container on data from S3 and upload what it leaves, for what is neither training nor inference.

AWS calls it: ProcessingJob (Create, Describe, List, Stop, Delete). States: InProgress, Completed, Failed, Stopping,
Stopped. `operations.py` declares the resource and accepts a job, `document.py` reads what its document asks for,
`engine.py` says what is its own in a job of containers.

Inputs lie below /opt/ml/processing/ before the container starts (File), or are FIFOs `<LocalPath>_<epoch>` (Pipe;
Unverified: AWS documents no name, this is training's). Directories of outputs exist; what they hold goes to S3 at the end,
however the job ended (Unverified for Failed and Stopped), or is mirrored while it runs (Continuous). Symbolic links are
not followed. What is AppManaged is the container's own affair. The entrypoint and the arguments are what they are to
`docker run`: nothing is added. `/opt/ml/output/message` becomes the ExitMessage.
Tables: none of its own. Events sent: ProcessingJob at each status. Heard: ProcessingJob created (queued). Every event of
a job wakes its driver.
Guide: "Data transformation workloads with SageMaker Processing"
(https://docs.aws.amazon.com/sagemaker/latest/dg/processing-job.html).
"""
